package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.image.Image;
import dev.metacircular.image.ImageEntry;
import dev.metacircular.image.Manifest;
import dev.metacircular.image.Segment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Shows an image. */
@Command(
        name = "inspect",
        description =
                "Shows an image's manifest, ABI version, adapter, sizes and digests, and checks every byte of it.")
final class InspectCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Parameters(arity = "0..1", paramLabel = "IMAGE", description = "The image; without it the project's.")
    private @Nullable String image;

    @Option(names = "--files", description = "Lists the files too.")
    private boolean files;

    InspectCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Path path = image == null ? cli.project().image() : cli.path(image);
        Report report = cli.report(options.json);
        try (Image opened = Image.open(path)) {
            opened.verify();
            List<ImageEntry> entries = opened.entries();
            people(report, path, opened, entries);
            report.value(json(path, opened, entries));
        }
        return 0;
    }

    private void people(Report report, Path path, Image opened, List<ImageEntry> entries) {
        Manifest manifest = opened.manifest();
        report.line("image         %s, %s, every byte checked".formatted(path, Report.size(opened.sizeBytes())));
        report.line("uuid          " + opened.uuid());
        report.line("name          " + manifest.name());
        report.line("abi           " + manifest.abi());
        report.line("adapter       " + manifest.adapter());
        report.line("start         " + manifest.start());
        report.line("entry         " + manifest.entry());
        report.line("arguments     " + String.join(" ", manifest.arguments()));
        manifest.environment().forEach((name, value) -> report.line("environment   " + name + "=" + value));
        report.line("capabilities  "
                + String.join(
                        " ",
                        manifest.capabilities().stream().map(Object::toString).toList()));
        for (Segment segment : opened.segments()) {
            report.line("segment       %-9s at %10d  %10s  %s"
                    .formatted(segment.role(), segment.offset(), Report.size(segment.sizeBytes()), segment.digest()));
        }
        manifest.digests().forEach((role, digest) -> report.line("digest        %-9s %s".formatted(role, digest)));
        report.line("files         " + entries.size());
        if (files) {
            for (ImageEntry entry : entries) {
                report.line("  %s %04o %10d  %s%s"
                        .formatted(
                                switch (entry.kind()) {
                                    case FILE -> "-";
                                    case DIRECTORY -> "d";
                                    case LINK -> "l";
                                },
                                entry.mode(),
                                entry.sizeBytes(),
                                entry.path(),
                                entry.target().map(target -> " -> " + target).orElse("")));
            }
        }
    }

    private ObjectNode json(Path path, Image opened, List<ImageEntry> entries) {
        Manifest manifest = opened.manifest();
        ObjectNode node = Report.object()
                .put("image", path.toString())
                .put("size_bytes", opened.sizeBytes())
                .put("uuid", opened.uuid().toString())
                .put("verified", true)
                .put("name", manifest.name())
                .put("abi", manifest.abi().toString())
                .put("adapter", manifest.adapter())
                .put("start", manifest.start())
                .put("entry", manifest.entry())
                .put("files", entries.size());
        manifest.arguments().forEach(node.putArray("arguments")::add);
        ObjectNode environment = node.putObject("environment");
        manifest.environment().forEach(environment::put);
        manifest.capabilities().stream().map(Object::toString).forEach(node.putArray("capabilities")::add);
        ArrayNode segments = node.putArray("segments");
        opened.segments()
                .forEach(segment -> segments.add(Report.object()
                        .put("role", segment.role().toString())
                        .put("offset", segment.offset())
                        .put("size_bytes", segment.sizeBytes())
                        .put("digest", segment.digest().toString())));
        ObjectNode digests = node.putObject("digests");
        manifest.digests().forEach((role, digest) -> digests.put(role, digest.toString()));
        if (files) {
            ArrayNode list = node.putArray("entries");
            entries.forEach(entry -> {
                ObjectNode item = Report.object()
                        .put("path", entry.path())
                        .put("kind", entry.kind().name().toLowerCase(java.util.Locale.ROOT))
                        .put("mode", "%04o".formatted(entry.mode()))
                        .put("size_bytes", entry.sizeBytes());
                entry.target().ifPresent(target -> item.put("target", target));
                list.add(item);
            });
        }
        return node;
    }
}
