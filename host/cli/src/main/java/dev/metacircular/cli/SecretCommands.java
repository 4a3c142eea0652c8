package dev.metacircular.cli;

import com.google.protobuf.ByteString;
import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ListSecretsRequest;
import dev.metacircular.contract.v1.RemoveSecretRequest;
import dev.metacircular.contract.v1.Secret;
import dev.metacircular.contract.v1.SetSecretRequest;
import dev.metacircular.contract.v1.SetSecretResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** {@code mcp secret set}, {@code list} and {@code remove}. */
final class SecretCommands {
    private static final int MAX_BYTES = 64 << 10;

    private SecretCommands() {}

    private static OptionSpec node() {
        return Models.value("--node", "NODE", "The service's node, where no definition names it.");
    }

    private static <T> T call(
            Session session, Arguments arguments, Name service, Function<AgentGrpc.AgentBlockingStub, T> work) {
        ClientConfig.Node node = Place.of(session, arguments, service);
        return Nodes.call(session, node, Nodes.limit(session, Nodes.QUESTION), work);
    }

    /** {@code mcp secret set}: the value comes from standard input alone. */
    static final class Set implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command(
                    "set",
                    "Sets a secret's value on the service's node, from standard input. One line break at its end does not count."
                            + " What runs gets it with its next deploy.");
            spec.addPositional(Models.required(0, "SERVICE", "The service."));
            spec.addPositional(Models.required(1, "NAME", "The secret's name, which is its environment variable's."));
            spec.addOption(node());
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            Name service = arguments.requiredName(0);
            String name = arguments.required(1);
            byte[] value = value(session, service, name);
            SetSecretResponse response = call(
                    session,
                    arguments,
                    service,
                    stub -> stub.setSecret(SetSecretRequest.newBuilder()
                            .setIdempotencyKey(Place.idempotencyKey())
                            .setService(service.value())
                            .setName(name)
                            .setValue(ByteString.copyFrom(value))
                            .build()));
            if (session.json()) {
                session.out()
                        .println(Json.write(Json.object(
                                "result",
                                "ok",
                                "service",
                                service.value(),
                                "name",
                                name,
                                "used_by",
                                response.getUsedByList())));
            } else {
                session.out().println("secret " + name + " of " + service + " is set");
                if (response.getUsedByCount() > 0) {
                    session.out()
                            .println("  next: mcp deploy " + service + "   ("
                                    + String.join(", ", response.getUsedByList())
                                    + " runs with the former value until then)");
                }
            }
            return ExitStatus.DONE;
        }

        private static byte[] value(Session session, Name service, String name) {
            try {
                byte[] value;
                if (session.streams().inIsTerminal()) {
                    session.err().print("value of " + name + " for " + service + " (it is not shown): ");
                    session.err().flush();
                    try (RawTerminal _ = RawTerminal.withoutEcho()) {
                        value = line(session);
                    } finally {
                        session.err().println();
                    }
                } else {
                    value = session.in().readNBytes(MAX_BYTES + 3);
                }
                value = withoutLineBreak(value);
                if (value.length == 0) {
                    throw Problem.of(Problem.Kind.INVALID, "standard input has no value")
                            .next("mcp secret set " + service + " " + name + " < FILE")
                            .exception();
                }
                if (value.length > MAX_BYTES) {
                    throw Problem.of(Problem.Kind.INVALID, "the value is longer than " + MAX_BYTES + " bytes")
                            .at(name)
                            .next("put it into a file of the service's: mcp push FILE " + service + ":PATH")
                            .exception();
                }
                return value;
            } catch (IOException e) {
                throw new ProblemException(
                        Problem.of(Problem.Kind.FAILED, "standard input cannot be read: " + e.getMessage())
                                .next("mcp secret set " + service + " " + name + " < FILE"),
                        e);
            }
        }

        private static byte[] line(Session session) throws IOException {
            ByteArrayOutputStream line = new ByteArrayOutputStream();
            for (int b = session.in().read();
                    b >= 0 && b != '\n' && line.size() <= MAX_BYTES;
                    b = session.in().read()) {
                line.write(b);
            }
            return line.toByteArray();
        }

        private static byte[] withoutLineBreak(byte[] value) {
            int end = value.length;
            if (end > 0 && value[end - 1] == '\n') {
                end--;
                if (end > 0 && value[end - 1] == '\r') {
                    end--;
                }
            }
            return Arrays.copyOf(value, end);
        }
    }

    /** {@code mcp secret list}. */
    static final class ListSecrets implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command(
                    "list",
                    "Shows the names of a service's secrets, when they were set and what uses them; never a value.");
            spec.addPositional(Models.required(0, "SERVICE", "The service."));
            spec.addOption(node());
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            Name service = arguments.requiredName(0);
            List<Secret> secrets = call(
                            session,
                            arguments,
                            service,
                            stub -> stub.listSecrets(ListSecretsRequest.newBuilder()
                                    .setService(service.value())
                                    .build()))
                    .getSecretsList();
            if (session.json()) {
                session.out()
                        .println(Json.write(Json.object(
                                "service",
                                service.value(),
                                "secrets",
                                secrets.stream()
                                        .map(s -> Json.object(
                                                "name",
                                                s.getName(),
                                                "set_at",
                                                s.getSetAtMs() == 0
                                                        ? null
                                                        : Instant.ofEpochMilli(s.getSetAtMs())
                                                                .toString(),
                                                "used_by",
                                                s.getUsedByList()))
                                        .toList())));
            } else {
                Table table = new Table("NAME", "SET", "USED BY");
                secrets.forEach(s -> table.row(
                        s.getName(),
                        s.getSetAtMs() == 0
                                ? "not set"
                                : Instant.ofEpochSecond(s.getSetAtMs() / 1_000).toString(),
                        String.join(", ", s.getUsedByList())));
                table.print(session.out());
            }
            return ExitStatus.DONE;
        }
    }

    /** {@code mcp secret remove}. */
    static final class Remove implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command("remove", "Removes a secret that no component of the service uses.");
            spec.addPositional(Models.required(0, "SERVICE", "The service."));
            spec.addPositional(Models.required(1, "NAME", "The secret's name."));
            spec.addOption(node());
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            Name service = arguments.requiredName(0);
            String name = arguments.required(1);
            var _ = call(
                    session,
                    arguments,
                    service,
                    stub -> stub.removeSecret(RemoveSecretRequest.newBuilder()
                            .setIdempotencyKey(Place.idempotencyKey())
                            .setService(service.value())
                            .setName(name)
                            .build()));
            if (session.json()) {
                session.out()
                        .println(Json.write(Json.object("result", "ok", "service", service.value(), "name", name)));
            } else {
                session.out().println("secret " + name + " of " + service + " is removed");
            }
            return ExitStatus.DONE;
        }
    }
}
