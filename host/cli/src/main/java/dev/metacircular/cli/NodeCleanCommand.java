package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.CollectImagesRequest;
import dev.metacircular.contract.v1.CollectImagesResponse;
import dev.metacircular.contract.v1.CollectedImage;
import dev.metacircular.definition.ClientConfig;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp node clean}: has a node remove the images that nothing needs, which it does by itself as well. */
final class NodeCleanCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "clean",
                "Removes images that the node's agent pulled and that nothing needs; it does so by itself every six hours.");
        spec.addPositional(Models.required(0, "NODE", "The node."));
        spec.addOption(Models.flag("--dry-run", "Show what would be removed, and remove nothing."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        ClientConfig.Node node = View.node(session, session.config(), arguments.requiredName(0));
        boolean dryRun = arguments.flag("--dry-run");
        CollectImagesRequest.Builder request = CollectImagesRequest.newBuilder().setDryRun(dryRun);
        if (!dryRun) {
            request.setIdempotencyKey(Place.idempotencyKey());
        }
        CollectImagesResponse response = Nodes.call(
                session, node, Nodes.limit(session, Nodes.CHANGE), stub -> stub.collectImages(request.build()));
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result",
                            "ok",
                            "node",
                            node.name().value(),
                            "images",
                            response.getImagesList().stream()
                                    .map(i -> Json.object(
                                            "image",
                                            i.getImage(),
                                            "names",
                                            i.getNamesList(),
                                            "size_bytes",
                                            i.getSizeBytes()))
                                    .toList())));
            return ExitStatus.DONE;
        }
        Table table = new Table("IMAGE", "NAMES", "SIZE");
        for (CollectedImage i : response.getImagesList()) {
            int shown = Math.min(12, i.getImage().length());
            table.row(
                    i.getImage().substring(0, shown), String.join(" ", i.getNamesList()), Text.bytes(i.getSizeBytes()));
        }
        if (table.isEmpty()) {
            session.out().println("there is no image that nothing needs");
        } else {
            session.out().println((dryRun ? "would remove" : "removed") + " from node " + node.name() + ":");
            table.print(session.out());
        }
        return ExitStatus.DONE;
    }
}
