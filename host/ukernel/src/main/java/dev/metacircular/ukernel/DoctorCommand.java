package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.model.ProblemException;
import dev.metacircular.vm.Finding;
import dev.metacircular.vm.VmDriver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Says what this machine has and lacks. */
@Command(
        name = "doctor",
        description = "Says what this machine has and lacks, with the command that mends it.",
        footer = "Exit status: 0 workloads can be built and run here, 1 something that they need is missing.")
final class DoctorCommand implements Callable<Integer> {
    private static final Duration VERSION_TIME = Duration.ofSeconds(20);

    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    DoctorCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Report report = cli.report(options.json);
        List<Finding> findings = new ArrayList<>();
        findings.add(part("Zig", () -> {
            Installation installation = cli.installation();
            Subprocess.Result version = Subprocess.run(
                    List.of(installation.zig().toString(), "version"), cli.folder(), Map.of(), VERSION_TIME);
            return version.output().strip() + ", " + installation.zig();
        }));
        findings.add(part(
                "native library",
                () -> "ABI " + cli.installation().abi() + ", "
                        + cli.installation().sdk()));
        for (String kernel : ProjectFile.KERNELS) {
            findings.add(part(
                    "kernel " + kernel, () -> cli.installation().kernel(kernel).toString()));
        }
        Machines machines = cli.machines();
        findings.add(part("state folder", () -> {
            machines.prepare();
            return machines.state().toString();
        }));
        boolean blocked = blocks(findings);
        // One VMM that works is enough.
        boolean anyVmm = false;
        for (VmDriver driver : machines.drivers()) {
            List<Finding> own = driver.diagnose();
            anyVmm |= !blocks(own);
            findings.addAll(own);
        }
        blocked |= !anyVmm;
        ArrayNode array = Report.array();
        for (Finding finding : findings) {
            String mark = switch (finding.status()) {
                case PRESENT -> "ok";
                case LACKING -> "lacking";
                case BLOCKING -> "MISSING";
            };
            report.line("%-8s %-16s %s".formatted(mark, finding.subject(), finding.detail()));
            finding.remedy().ifPresent(remedy -> report.line("         %-16s next: %s".formatted("", remedy)));
            ObjectNode node = Report.object()
                    .put("subject", finding.subject())
                    .put("status", finding.status().name().toLowerCase(Locale.ROOT))
                    .put("detail", finding.detail());
            finding.remedy().ifPresent(remedy -> node.put("remedy", remedy));
            array.add(node);
        }
        report.value(Report.object().put("ready", !blocked).set("findings", array));
        return blocked ? 1 : 0;
    }

    private static boolean blocks(List<Finding> findings) {
        return findings.stream().anyMatch(finding -> finding.status() == Finding.Status.BLOCKING);
    }

    private static Finding part(String subject, Supplier<String> detail) {
        try {
            return new Finding(subject, Finding.Status.PRESENT, detail.get(), Optional.empty());
        } catch (ProblemException e) {
            return new Finding(
                    subject,
                    Finding.Status.BLOCKING,
                    e.problem().what()
                            + (e.problem().where().isEmpty()
                                    ? ""
                                    : " (" + e.problem().where() + ")"),
                    Optional.of(e.problem().next()).filter(next -> !next.isEmpty()));
        }
    }
}
