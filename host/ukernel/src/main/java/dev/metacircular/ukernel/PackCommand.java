package dev.metacircular.ukernel;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Packs the image. */
@Command(name = "pack", description = "Packs the bootable image, bit-identical for identical inputs.")
final class PackCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Option(names = "--image", paramLabel = "FILE", description = "Where it goes; dist/NAME.img unless told.")
    private @Nullable String image;

    @Option(names = "--release", description = "With an optimised program.")
    private boolean release;

    PackCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Project project = cli.project();
        Report report = cli.report(options.json);
        Path out = image == null ? project.image() : cli.path(image);
        List<Step> steps = new Pipeline(cli.installation(), report).pack(project, out, release);
        report.value(Report.object()
                .put("project", project.name().value())
                .put("image", out.toString())
                .set("steps", BuildCommand.steps(steps)));
        return 0;
    }
}
