package dev.metacircular.cli;

import dev.metacircular.contract.v1.AgentGrpc;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** An operator's directory, the agents that it names, and what the commands print. */
final class Operator implements AutoCloseable {
    static final TestCertificates AUTHORITY = new TestCertificates("Ed25519");

    final Path home;
    private final List<TestAgent> agents = new ArrayList<>();
    private final Map<String, String> variables = new HashMap<>();
    private String input = "";
    private Session.Streams streams = Session.Streams.NONE;

    Operator(Path home) {
        this.home = home;
        write("services/.keep", "");
    }

    record Result(int exit, String out, String err) {
        String all() {
            return out + err;
        }
    }

    Operator node(String name, AgentGrpc.AgentImplBase answers) {
        return node(name, agent(answers), AUTHORITY, TestAgent.TOKEN);
    }

    /** An agent that no configuration names; its port. */
    int agent(AgentGrpc.AgentImplBase answers) {
        TestAgent agent = new TestAgent(AUTHORITY.server(Duration.ofHours(1), "127.0.0.1"), answers);
        agents.add(agent);
        return agent.port();
    }

    Operator node(String name, int port, TestCertificates authority, String token) {
        authority.writeCa(home.resolve(name + "-ca.pem"));
        write(name + ".token", token + "\n");
        try {
            Files.setPosixFilePermissions(home.resolve(name + ".token"), PosixFilePermissions.fromString("rw-------"));
            Files.writeString(
                    home.resolve("mcp.toml"),
                    """
                    [nodes.%1$s]
                    address    = "127.0.0.1:%2$d"
                    ca         = "%1$s-ca.pem"
                    token_file = "%1$s.token"
                    """.formatted(name, port),
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    static int closedPort() {
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return free.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Operator define(String service, String text) {
        return write("services/" + service + ".toml", text);
    }

    Operator shop() {
        return define("shop", """
                name = "shop"
                node = "alpha"   # ours
                active = true

                [[components]]
                name = "web"
                image = "registry.example:5000/shop:v1.4.0"
                """);
    }

    Operator write(String file, String text) {
        try {
            Path path = home.resolve(file);
            Path folder = path.getParent();
            if (folder != null) {
                Files.createDirectories(folder);
            }
            Files.writeString(path, text);
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String read(String file) {
        try {
            return Files.readString(home.resolve(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Operator types(String text) {
        input = text;
        return this;
    }

    /** From now on what is printed goes to a terminal. */
    Operator onTerminal() {
        streams = new Session.Streams(false, true, false);
        return this;
    }

    /** From now on somebody sits at a terminal. */
    Operator interactive() {
        streams = new Session.Streams(true, true, true);
        return this;
    }

    /** Sets an environment variable of the commands that follow. */
    Operator variable(String name, String value) {
        variables.put(name, value);
        return this;
    }

    /** With a fixed clock, and with paths and ports replaced by words. */
    Result mcp(String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Session session = new Session(
                new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                streams,
                environment(),
                Clock.fixed(Instant.ofEpochMilli(ScriptedAgent.STARTED_MS).plusSeconds(905), ZoneOffset.UTC),
                Optional.empty(),
                false,
                Optional.empty());
        int exit = Cli.run(arguments, session);
        return new Result(exit, plain(out), plain(err));
    }

    private Map<String, String> environment() {
        Map<String, String> environment = new HashMap<>(variables);
        environment.put("MCP_CONFIG", home.toString());
        environment.put("HOME", home.toString());
        return environment;
    }

    private String plain(ByteArrayOutputStream stream) {
        return stream.toString(StandardCharsets.UTF_8)
                .replace(home.toString(), "HOME")
                .replaceAll("127\\.0\\.0\\.1:[0-9]{5}\\b(?!:[0-9])", "127.0.0.1:PORT");
    }

    @Override
    public void close() {
        agents.forEach(TestAgent::close);
    }
}
