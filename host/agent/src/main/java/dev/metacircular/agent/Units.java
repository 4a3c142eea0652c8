package dev.metacircular.agent;

import dev.metacircular.definition.AgentConfig;
import dev.metacircular.definition.AgentConfigFile;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Makes a node's unit file from its directory, and puts it in its place. */
final class Units {
    private static final Duration DEADLINE = Duration.ofMinutes(3);
    /** Set by the launcher: itself, by the name that it was called by, which an upgrade leaves valid. */
    private static final String PROGRAM = "MCP_AGENT_PROGRAM";

    private Units() {}

    /**
     * The unit of the agent with this directory, for its owner.
     *
     * @throws dev.metacircular.model.ProblemException if there can be none; it says what to do about it
     */
    static UnitFile of(Path directory) throws IOException {
        if (!Files.exists(directory.resolve(AgentConfig.FILE_NAME))) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "it is not an agent's directory: there is no agent.toml in it")
                    .at(directory.toString())
                    .next("mcp-agent init --dir " + directory + " --node NAME --listen HOST:PORT")
                    .exception();
        }
        String uid = Files.getAttribute(directory, "unix:uid").toString();
        SystemUser user = SystemUser.find(uid)
                .orElseThrow(() -> Problem.of(Problem.Kind.CONFLICT, "its owner, " + uid + ", is no user here")
                        .at(directory.toString())
                        .exception());
        if (user.uid() == 0) {
            throw Problem.of(Problem.Kind.CONFLICT, "it is root's, and the agent does not run as root")
                    .at(directory.toString())
                    .next("initialise with --user mcp")
                    .exception();
        }
        Path program = Optional.ofNullable(System.getenv(PROGRAM))
                .map(p -> Path.of(p).normalize())
                .orElseThrow(() -> Problem.of(Problem.Kind.FAILED, "the launcher's place is not known")
                        .next("run bin/mcp-agent")
                        .exception());
        requireReadable(user, program);
        AgentConfig config = new AgentConfigFile(directory).read().orThrow();
        return new UnitFile(directory, user, program, config, SystemUser.callerIsRoot());
    }

    /** Without the folder the unit would not show it. */
    private static void makeCertificates(UnitFile unit) throws IOException {
        Programs.Result result =
                as(unit.user(), "mkdir", "-p", unit.certificates().toString());
        if (!result.ok()) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            "the folder for registries' certificates cannot be made: "
                                    + result.output().replace('\n', ' '))
                    .at(unit.certificates().toString())
                    .next("let the user " + unit.user().name() + " write to its home")
                    .exception();
        }
    }

    /** As the user, so that no link in what is the user's leads root astray. */
    private static Programs.Result as(SystemUser user, String... command) throws IOException {
        List<String> whole =
                new ArrayList<>(List.of("setpriv", "--reuid=" + user.uid(), "--regid=" + user.gid(), "--clear-groups"));
        whole.addAll(List.of(command));
        return Programs.run(DEADLINE, whole);
    }

    private static void requireReadable(SystemUser user, Path program) throws IOException {
        if (!SystemUser.callerIsRoot()) {
            return;
        }
        Programs.Result result = as(user, "test", "-x", program.toString());
        if (!result.ok()) {
            throw Problem.of(Problem.Kind.CONFLICT, "the user " + user.name() + " cannot run " + program)
                    .next("install it where everybody can read it: scripts/install /opt/metacircular, then"
                            + " /opt/metacircular/bin/mcp-agent unit")
                    .exception();
        }
    }

    /** Writes the unit where systemd looks for it and has systemd read it; an enabled unit stays enabled. */
    static void install(UnitFile unit) throws IOException {
        Path place = unit.place();
        Path parent = place.getParent();
        if (parent != null) {
            Files.createDirectories(parent);
        }
        if (unit.forMachine()) {
            makeCertificates(unit);
        }
        Files.writeString(place, unit.text());
        List<String> reload = unit.forMachine()
                ? List.of("systemctl", "daemon-reload")
                : List.of("systemctl", "--user", "daemon-reload");
        Programs.Result result = Programs.run(DEADLINE, reload);
        if (!result.ok()) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            String.join(" ", reload) + " failed: "
                                    + result.output().replace('\n', ' '))
                    .at(place.toString())
                    .exception();
        }
    }
}
