package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmInfo;
import dev.metacircular.vm.VmOutcome;
import dev.metacircular.vm.VmState;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Lists VMs. */
@Command(name = "ps", description = "Lists the VMs of this user on this machine.")
final class PsCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Option(
            names = {"-a", "--all"},
            description = "Ended ones too.")
    private boolean all;

    PsCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Machines machines = cli.machines();
        Report report = cli.report(options.json);
        List<VirtualMachine> vms = machines.all();
        ArrayNode array = Report.array();
        String format = "%-24s %-28s %-12s %-10s %5s %9s  %s";
        report.line(format.formatted("NAME", "STATE", "VMM", "ACCEL", "VCPUS", "MEMORY", "IMAGE"));
        for (VirtualMachine vm : vms) {
            VmState state = vm.state();
            if (!all && state instanceof VmState.Ended) {
                continue;
            }
            VmInfo info = vm.info();
            report.line(format.formatted(
                    info.id(),
                    describe(state, info.startedAt()),
                    info.driver(),
                    info.acceleration().accelerator().label(),
                    info.vcpus(),
                    info.memoryMebibytes() + " MiB",
                    info.kernel()));
            array.add(json(info, state));
        }
        machines.broken().forEach(why -> report.progress("warning: " + why));
        report.value(array);
        return 0;
    }

    private static String describe(VmState state, Instant startedAt) {
        return switch (state) {
            case VmState.Starting _ -> "starting";
            case VmState.Running _ -> "running for " + age(Duration.between(startedAt, Instant.now()));
            case VmState.Ended(VmOutcome outcome) -> Outcomes.brief(outcome);
        };
    }

    private static String age(Duration age) {
        if (age.toMinutes() < 1) {
            return Math.max(0, age.toSeconds()) + " s";
        }
        return age.toHours() < 1 ? age.toMinutes() + " min" : age.toHours() + " h";
    }

    private static ObjectNode json(VmInfo info, VmState state) {
        ObjectNode node = Report.object()
                .put("name", info.id().value())
                .put("vmm", info.driver())
                .put("accelerator", info.acceleration().accelerator().label())
                .put("accelerator_reason", info.acceleration().reason())
                .put("vcpus", info.vcpus())
                .put("memory_mb", info.memoryMebibytes())
                .put("image", info.kernel().toString())
                .put("started_at", info.startedAt().toString());
        switch (state) {
            case VmState.Starting _ -> node.put("state", "starting");
            case VmState.Running(long pid) -> node.put("state", "running").put("pid", pid);
            case VmState.Ended(VmOutcome outcome) -> {
                node.put("state", "ended");
                node.setAll(Outcomes.json(outcome));
            }
        }
        return node;
    }
}
