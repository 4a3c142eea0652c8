package dev.metacircular.ukernel;

import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmOutcome;
import dev.metacircular.vm.VmState;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Stops a VM. */
@Command(name = "stop", description = "Stops a VM: asks the guest, and ends it by force when it does not end in time.")
final class StopCommand implements Callable<Integer> {
    private static final int GRACE_MAX_SECONDS = 3600;

    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Parameters(
            arity = "0..1",
            paramLabel = "NAME",
            description = "The VM; without it the newest running one of the project here.")
    private @Nullable String name;

    @Option(
            names = {"-t", "--time"},
            paramLabel = "SECONDS",
            defaultValue = "10",
            description = "How long the guest may take (10).")
    private int graceSeconds = 10;

    StopCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() throws InterruptedException {
        Bounds.check("stop", "--time", graceSeconds, 0, GRACE_MAX_SECONDS);
        Optional<String> wanted = Optional.ofNullable(name);
        VirtualMachine vm =
                cli.machines().find(wanted, wanted.isPresent() ? Optional.empty() : Optional.of(cli.project()), true);
        Report report = cli.report(options.json);
        boolean running = !(vm.state() instanceof VmState.Ended);
        VmOutcome outcome = vm.stop(Duration.ofSeconds(graceSeconds));
        report.line(
                "%s: %s".formatted(vm.info().id(), running ? Outcomes.brief(outcome) : "nothing to do, it has ended"));
        report.value(Report.object()
                .put("name", vm.info().id().value())
                .put("changed", running)
                .setAll(Outcomes.json(outcome)));
        return 0;
    }
}
