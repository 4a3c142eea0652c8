package dev.metacircular.cli;

import dev.metacircular.model.Problem;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** All commands by name, and the options that every one of them has. */
final class CommandTree {
    private static final String CONFIG = "--config";
    private static final String TIMEOUT = "--timeout";
    private static final Map<String, Supplier<CommandSpec>> COMMANDS = new LinkedHashMap<>();

    static {
        COMMANDS.put("deploy", () -> leaf(new DeployCommand()));
        COMMANDS.put("validate", () -> leaf(new ValidateCommand()));
        COMMANDS.put("start", () -> leaf(new DesiredCommand(true)));
        COMMANDS.put("stop", () -> leaf(new DesiredCommand(false)));
        COMMANDS.put("restart", () -> leaf(new RestartCommand()));
        COMMANDS.put("list", () -> leaf(new ListCommand()));
        COMMANDS.put("ps", () -> leaf(new PsCommand()));
        COMMANDS.put("status", () -> leaf(new StatusCommand()));
        COMMANDS.put("sync", () -> leaf(new SyncCommand()));
        COMMANDS.put("adopt", () -> leaf(new AdoptCommand()));
        COMMANDS.put("events", () -> leaf(new EventsCommand()));
        COMMANDS.put("logs", () -> leaf(new LogsCommand()));
        COMMANDS.put("exec", () -> leaf(new ExecCommand()));
        COMMANDS.put("push", () -> leaf(new PushCommand()));
        COMMANDS.put("pull", () -> leaf(new PullCommand()));
        COMMANDS.put(
                "secret",
                () -> group(
                        "secret",
                        "Works on a service's secrets.",
                        new SecretCommands.Set(),
                        new SecretCommands.ListSecrets(),
                        new SecretCommands.Remove()));
        COMMANDS.put(
                "service",
                () -> group(
                        "service",
                        "Works on service definition files.",
                        new ServiceShowCommand(),
                        new ServiceEditCommand(),
                        new ServiceExportCommand(),
                        new ServiceNewCommand()));
        COMMANDS.put("purge", () -> leaf(new PurgeCommand()));
        COMMANDS.put(
                "node",
                () -> group(
                        "node",
                        "Works on the nodes that this client knows.",
                        new NodeCommands.ListNodes(),
                        new NodeAddCommand(),
                        new NodeCommands.Remove(),
                        new NodeCommands.Show(),
                        new NodeTrustCommand(),
                        new NodeCleanCommand()));
        COMMANDS.put(
                "token",
                () -> group(
                        "token",
                        "Works on a node's tokens.",
                        new TokenCommands.ListTokens(),
                        new TokenCommands.Add(),
                        new TokenCommands.Revoke()));
        COMMANDS.put("backup", () -> leaf(new BackupCommand()));
        COMMANDS.put("restore", () -> leaf(new RestoreCommand()));
        COMMANDS.put("doctor", () -> leaf(new DoctorCommand()));
        COMMANDS.put("completion", () -> leaf(new CompletionCommand()));
        COMMANDS.put("manual", () -> hidden(leaf(new ManualCommand())));
    }

    private CommandTree() {}

    /** @param only the one command that is needed; all of them where it is not known, or empty */
    static CommandSpec root(Optional<String> only) {
        CommandSpec root = Models.command("mcp", "Deploys services to nodes and shows what runs there.");
        root.usageMessage()
                .footer(
                        "",
                        "Exit status: 0 done, 1 failed, 2 wrong usage or a faulty definition,",
                        "3 a node could not be reached, 4 not permitted.");
        common(root);
        root.addOption(OptionSpec.builder("-V", "--version")
                .type(boolean.class)
                .versionHelp(true)
                .description("Print the version.")
                .build());
        Optional<Supplier<CommandSpec>> one = only.map(COMMANDS::get);
        if (one.isPresent()) {
            root.addSubcommand(only.orElseThrow(), one.get().get());
        } else {
            COMMANDS.forEach((name, spec) -> root.addSubcommand(name, spec.get()));
        }
        return root;
    }

    private static CommandSpec leaf(Command command) {
        CommandSpec spec = command.spec();
        CommandSpec wrapped = CommandSpec.wrapWithoutInspection(command);
        wrapped.name(spec.name());
        wrapped.usageMessage(spec.usageMessage());
        spec.options().forEach(wrapped::addOption);
        spec.positionalParameters().forEach(wrapped::addPositional);
        common(wrapped);
        return wrapped;
    }

    private static CommandSpec hidden(CommandSpec spec) {
        spec.usageMessage().hidden(true);
        return spec;
    }

    private static CommandSpec group(String name, String description, Command... commands) {
        CommandSpec group = Models.command(name, description);
        common(group);
        for (Command command : commands) {
            CommandSpec spec = leaf(command);
            group.addSubcommand(spec.name(), spec);
        }
        return group;
    }

    private static void common(CommandSpec spec) {
        spec.addOption(Models.flag("--json", "Write JSON, as docs/json.md describes."));
        spec.addOption(
                Models.value(CONFIG, "DIR", "The directory with mcp.toml and services/; MCP_CONFIG is the same."));
        spec.addOption(Models.value(TIMEOUT, "SECONDS", "How long to wait for a node's answer."));
        spec.addOption(OptionSpec.builder("-h", "--help")
                .type(boolean.class)
                .usageHelp(true)
                .description("Print this help.")
                .build());
    }

    static boolean takesValue(String option) {
        return option.equals(CONFIG) || option.equals(TIMEOUT);
    }

    /** The session with what the common options say, given before the command's name or after it. */
    static Session session(ParseResult leaf, Session session) {
        Arguments arguments = new Arguments(leaf);
        boolean json = arguments.flag("--json");
        Optional<String> directory = arguments.text(CONFIG);
        Optional<String> timeout = arguments.text(TIMEOUT);
        CommandSpec parent = leaf.commandSpec().parent();
        while (parent != null) {
            Arguments above = new Arguments(parent.commandLine().getParseResult());
            json |= above.flag("--json");
            directory = directory.or(() -> above.text(CONFIG));
            timeout = timeout.or(() -> above.text(TIMEOUT));
            parent = parent.parent();
        }
        return session.with(directory.map(Path::of), json, timeout.map(CommandTree::seconds));
    }

    private static double seconds(String text) {
        try {
            double seconds = Double.parseDouble(text);
            if (seconds > 0 && seconds <= 86_400) {
                return seconds;
            }
        } catch (NumberFormatException e) {
            // Told below, with what is expected.
        }
        throw Problem.of(
                        Problem.Kind.INVALID,
                        "'" + text + "' is not a time: expected seconds, more than 0, at most 86400")
                .at(TIMEOUT)
                .exception();
    }

    static Optional<String> suggestion(ParameterException failure) {
        if (!(failure instanceof UnmatchedArgumentException unmatched)) {
            return Optional.empty();
        }
        List<String> suggestions = unmatched.getSuggestions();
        return suggestions.isEmpty() ? Optional.empty() : Optional.of(suggestions.getFirst());
    }
}
