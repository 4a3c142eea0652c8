package dev.metacircular.ukernel;

import dev.metacircular.model.Problem;
import dev.metacircular.vm.ChannelEvent;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.ConsoleEvent;
import dev.metacircular.vm.ConsoleReader;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmOutcome;
import dev.metacircular.vm.VmState;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Shows what a VM wrote. */
@Command(
        name = "logs",
        description = {
            "Shows a VM's console and its log records; of ended VMs too.",
            "With --follow as they come, without the console first."
        })
final class LogsCommand implements Callable<Integer> {
    private static final Duration FOLLOW_POLL = Duration.ofMillis(500);

    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Mixin
    private NamedVm named = new NamedVm();

    @Option(
            names = {"-f", "--follow"},
            description = "Goes on until the VM ends.")
    private boolean follow;

    @Option(names = "--records", description = "The log records alone.")
    private boolean recordsAlone;

    @Option(names = "--console", description = "The console alone.")
    private boolean consoleAlone;

    @Option(
            names = "--level",
            paramLabel = "LEVEL",
            defaultValue = "debug",
            description = "Log records from this level on: debug, info, warn or error.")
    private String level = "debug";

    LogsCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() throws InterruptedException {
        ChannelMessage.Level least = Stream.of(ChannelMessage.Level.values())
                .filter(each -> each.name().toLowerCase(Locale.ROOT).equals(level))
                .findFirst()
                .orElseThrow(() -> invalid("--level is '" + level + "': expected debug, info, warn or error"));
        if (recordsAlone && consoleAlone) {
            throw invalid("--records and --console together: expected one of them, or neither for both");
        }
        Optional<Project> project = named.project(cli);
        VirtualMachine vm = named.find(cli);
        Report report = cli.report(options.json);
        if (recordsAlone) {
            showRecords(vm, report, project, least);
        } else if (consoleAlone) {
            showConsole(vm, report, project);
        } else if (follow) {
            FutureTask<Boolean> records = new FutureTask<>(() -> {
                showRecords(vm, report, project, least);
                return true;
            });
            Thread.ofVirtual().start(records);
            showConsole(vm, report, project);
            finish(records);
        } else {
            showConsole(vm, report, project);
            showRecords(vm, report, project, least);
        }
        return 0;
    }

    private static void finish(FutureTask<Boolean> records) throws InterruptedException {
        try {
            records.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException failure ? failure : new IllegalStateException(e.getCause());
        }
    }

    private static RuntimeException invalid(String what) {
        return Problem.of(Problem.Kind.INVALID, what)
                .next("ukernel logs --help")
                .exception();
    }

    private Duration patience() {
        return follow ? FOLLOW_POLL : Duration.ZERO;
    }

    private void showConsole(VirtualMachine vm, Report report, Optional<Project> project) throws InterruptedException {
        PanicText panic = new PanicText();
        copyConsole(vm, report, panic);
        // Before the end, and where the kernel was well, such words are the workload's.
        if (!(vm.state() instanceof VmState.Ended(VmOutcome outcome)) || !Outcomes.kernelFailed(outcome)) {
            return;
        }
        panic.report()
                .ifPresent(words -> report.progress(
                        "crash: " + cli.installation().symbols(project).brief(words)));
    }

    private void copyConsole(VirtualMachine vm, Report report, PanicText panic) throws InterruptedException {
        ConsoleText text = new ConsoleText();
        try (ConsoleReader reader = vm.console()) {
            while (true) {
                Optional<ConsoleEvent> event = reader.next(patience());
                if (event.isEmpty()) {
                    if (follow) {
                        continue;
                    }
                    return;
                }
                switch (event.get()) {
                    case ConsoleEvent.Output output -> {
                        byte[] bytes = new byte[output.bytes().remaining()];
                        output.bytes().duplicate().get(bytes);
                        panic.add(bytes);
                        if (report.json()) {
                            report.value(Report.object().put("event", "console").put("text", text.add(bytes)));
                        } else {
                            report.out().write(bytes, 0, bytes.length);
                            report.out().flush();
                        }
                    }
                    case ConsoleEvent.Lost(long bytes) ->
                        report.progress("warning: %d older bytes are no longer kept".formatted(bytes));
                    case ConsoleEvent.End _ -> {
                        return;
                    }
                }
            }
        }
    }

    private void showRecords(VirtualMachine vm, Report given, Optional<Project> project, ChannelMessage.Level least)
            throws InterruptedException {
        // Here records are the result, and stand on standard output.
        Report report = new Report(given.json(), given.out(), given.out());
        FaultText faults = cli.installation().symbols(project);
        Optional<ChannelReader> channel = vm.channel();
        if (channel.isEmpty()) {
            return;
        }
        try (ChannelReader reader = channel.get()) {
            while (true) {
                Optional<ChannelEvent> event = reader.next(patience());
                if (event.isEmpty()) {
                    if (follow) {
                        continue;
                    }
                    return;
                }
                switch (event.get()) {
                    case ChannelEvent.Message(var message) -> {
                        if (Records.isWanted(message, least)) {
                            Records.show(message, report, faults);
                        }
                    }
                    case ChannelEvent.Lost lost ->
                        given.progress("warning: %d older records are no longer kept".formatted(lost.records()));
                    case ChannelEvent.End _ -> {
                        return;
                    }
                }
            }
        }
    }
}
