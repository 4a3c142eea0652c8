package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Builds the workload. */
@Command(name = "build", description = "Compiles the workload into build/.")
final class BuildCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Option(names = "--release", description = "Optimised, still with debug information beside it.")
    private boolean release;

    BuildCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Project project = cli.project();
        Report report = cli.report(options.json);
        List<Step> steps = new Pipeline(cli.installation(), report).build(project, release);
        report.value(Report.object()
                .put("project", project.name().value())
                .put("program", project.program().toString())
                .set("steps", steps(steps)));
        return 0;
    }

    static ArrayNode steps(List<Step> steps) {
        ArrayNode array = Report.array();
        steps.forEach(step -> array.add(Report.object()
                .put("name", step.name())
                .put("changed", step.changed())
                .put("summary", step.summary())));
        return array;
    }
}
