package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.AddTokenRequest;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ListTokensRequest;
import dev.metacircular.contract.v1.RevokeTokenRequest;
import dev.metacircular.contract.v1.Token;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Problem;
import java.time.Instant;
import java.util.List;
import java.util.function.Function;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** {@code mcp token list}, {@code add} and {@code revoke}. */
final class TokenCommands {
    private TokenCommands() {}

    private static OptionSpec node() {
        return Models.value("--node", "NODE", "The node; not needed where only one is known.");
    }

    private static <T> T call(Session session, Arguments arguments, Function<AgentGrpc.AgentBlockingStub, T> work) {
        List<ClientConfig.Node> nodes = List.copyOf(View.nodes(session, arguments.name("--node")));
        if (nodes.size() > 1) {
            throw Problem.of(Problem.Kind.INVALID, "several nodes are known")
                    .next("name one with --node")
                    .exception();
        }
        return Nodes.call(session, nodes.getFirst(), Nodes.limit(session, Nodes.QUESTION), work);
    }

    /** {@code mcp token list}. */
    static final class ListTokens implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command("list", "Shows the names and roles of a node's tokens.");
            spec.addOption(node());
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            List<Token> tokens = call(
                            session, arguments, stub -> stub.listTokens(ListTokensRequest.getDefaultInstance()))
                    .getTokensList();
            if (session.json()) {
                session.out()
                        .println(Json.write(Json.object(
                                "tokens",
                                tokens.stream()
                                        .map(t -> Json.object(
                                                "name", t.getName(), "role", t.getRole(), "created_at", time(t)))
                                        .toList())));
            } else {
                Table table = new Table("NAME", "ROLE", "CREATED");
                tokens.forEach(t -> table.row(t.getName(), t.getRole(), time(t)));
                table.print(session.out());
            }
            return ExitStatus.DONE;
        }

        private static String time(Token token) {
            return Instant.ofEpochSecond(token.getCreatedAtMs() / 1_000).toString();
        }
    }

    /** {@code mcp token add}: the one time that the token is shown. */
    static final class Add implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command("add", "Makes a token and prints it, this once.");
            spec.addPositional(Models.required(0, "NAME", "The token's name, such as whose it is."));
            spec.addOption(Models.requiredValue("--role", "ROLE", "operator or viewer."));
            spec.addOption(node());
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            String name = arguments.required(0);
            String role = arguments.text("--role").orElseThrow();
            if (!role.equals("operator") && !role.equals("viewer")) {
                throw Problem.of(Problem.Kind.INVALID, "'" + role + "' is not a role: expected operator or viewer")
                        .at("--role")
                        .exception();
            }
            String token = call(
                            session,
                            arguments,
                            stub -> stub.addToken(AddTokenRequest.newBuilder()
                                    .setIdempotencyKey(Place.idempotencyKey())
                                    .setName(name)
                                    .setRole(role)
                                    .build()))
                    .getToken();
            if (session.json()) {
                session.out()
                        .println(Json.write(Json.object("result", "ok", "name", name, "role", role, "token", token)));
            } else {
                session.out().println(token);
                session.err().println("this is the token of '" + name + "', role " + role + "; it is not shown again");
            }
            return ExitStatus.DONE;
        }
    }

    /** {@code mcp token revoke}. */
    static final class Revoke implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command("revoke", "Makes a token worthless, at once.");
            spec.addPositional(Models.required(0, "NAME", "The token's name."));
            spec.addOption(node());
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            String name = arguments.required(0);
            call(
                    session,
                    arguments,
                    stub -> stub.revokeToken(RevokeTokenRequest.newBuilder()
                            .setIdempotencyKey(Place.idempotencyKey())
                            .setName(name)
                            .build()));
            session.out()
                    .println(
                            session.json()
                                    ? Json.write(Json.object("result", "ok", "name", name))
                                    : "token '" + name + "' is revoked");
            return ExitStatus.DONE;
        }
    }
}
