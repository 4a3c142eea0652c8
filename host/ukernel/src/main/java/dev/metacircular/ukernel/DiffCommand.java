package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import dev.metacircular.image.Image;
import dev.metacircular.image.ImageDiff;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Compares two images. */
@Command(
        name = "diff",
        description = "Says what differs between two images and why it matters.",
        footer = "Exit status: 0 they are equal, 1 they differ or one cannot be read.")
final class DiffCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Parameters(index = "0", paramLabel = "BEFORE", description = "The one image.")
    private String before = "";

    @Parameters(index = "1", paramLabel = "AFTER", description = "The other image.")
    private String after = "";

    DiffCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Report report = cli.report(options.json);
        try (Image one = Image.open(cli.path(before));
                Image two = Image.open(cli.path(after))) {
            List<ImageDiff.Difference> differences = ImageDiff.between(one, two);
            differences.forEach(difference -> report.line(
                    "%s: %s\n    %s".formatted(difference.subject(), difference.change(), difference.meaning())));
            if (differences.isEmpty()) {
                report.line("no difference");
            }
            ArrayNode array = Report.array();
            differences.forEach(difference -> array.add(Report.object()
                    .put("subject", difference.subject())
                    .put("change", difference.change())
                    .put("meaning", difference.meaning())));
            report.value(Report.object().put("equal", differences.isEmpty()).set("differences", array));
            return differences.isEmpty() ? 0 : 1;
        }
    }
}
