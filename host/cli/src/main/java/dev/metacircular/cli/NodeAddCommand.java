package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.HelloRequest;
import dev.metacircular.contract.v1.HelloResponse;
import dev.metacircular.definition.Address;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ClientConfigFile;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp node add}: saves a node only if it answers with this CA and token, unless told not to ask it. */
final class NodeAddCommand implements Command {
    private static final int MAX_CA_BYTES = 1 << 20;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "add",
                "Makes a node known: copies its CA and the token into the configuration directory, and saves it if it"
                        + " answers.");
        spec.addPositional(Models.required(0, "NAME", "The node's name, as its agent has it."));
        spec.addPositional(Models.required(1, "HOST:PORT", "Where its agent listens."));
        spec.addOption(Models.requiredValue("--ca", "FILE", "ca.pem of the agent's directory."));
        spec.addOption(Models.requiredValue("--token-file", "FILE", "A file that holds the token."));
        spec.addOption(Models.flag("--offline", "Save it without asking it."));
        spec.addOption(Models.flag("--replace", "Replace a node of that name."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Name name = arguments.requiredName(0);
        Address address = address(arguments.required(1));
        Path ca = arguments.path("--ca").orElseThrow().toAbsolutePath();
        Path tokenFile = arguments.path("--token-file").orElseThrow().toAbsolutePath();
        ClientConfigFile file = session.configFile();
        ClientConfig.Node known = session.config().nodes().get(name);
        if (known != null && !arguments.flag("--replace")) {
            throw Problem.of(Problem.Kind.CONFLICT, "there is a node '" + name + "' already, at " + known.address())
                    .at(file.file().toString())
                    .next("mcp node remove " + name + ", or repeat with --replace")
                    .exception();
        }
        byte[] certificate = certificate(ca);
        String token = Nodes.token(tokenFile);
        Optional<HelloResponse> hello = arguments.flag("--offline")
                ? Optional.empty()
                : Optional.of(hello(session, new ClientConfig.Node(name, address, ca, tokenFile)));
        Path ownCa = session.home().resolve(name + "-ca.pem");
        Path ownToken = session.home().resolve(name + ".token");
        write(ownCa, certificate, "rw-r--r--");
        write(ownToken, (token + "\n").getBytes(StandardCharsets.US_ASCII), "rw-------");
        if (known != null) {
            file.removeNode(name);
        }
        file.addNode(new ClientConfig.Node(name, address, ownCa, ownToken));
        print(session, name, address, hello);
        return ExitStatus.DONE;
    }

    private static Address address(String text) {
        try {
            Address address = Address.parse(text);
            if (address.port() > 0) {
                return address;
            }
        } catch (IllegalArgumentException e) {
            // Told below.
        }
        throw Problem.of(Problem.Kind.INVALID, "'" + text + "' is not an address: expected " + Address.EXPECTED)
                .exception();
    }

    private static byte[] certificate(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_CA_BYTES);
            if (CertificateFactory.getInstance("X.509")
                    .generateCertificates(new ByteArrayInputStream(bytes))
                    .isEmpty()) {
                throw new CertificateException("no certificate");
            }
            return bytes;
        } catch (IOException e) {
            throw faultyCa(file, "the CA file cannot be read", e);
        } catch (CertificateException e) {
            throw faultyCa(file, "the CA file holds no PEM certificate", e);
        }
    }

    private static ProblemException faultyCa(Path file, String what, Exception cause) {
        return new ProblemException(
                new Problem(Problem.Kind.INVALID, what, file.toString(), "give ca.pem of the agent's directory"),
                cause);
    }

    static HelloResponse hello(Session session, ClientConfig.Node node) {
        HelloResponse hello;
        try {
            hello = Nodes.call(
                    session,
                    node,
                    Nodes.limit(session, Nodes.QUESTION),
                    stub -> stub.hello(
                            HelloRequest.newBuilder().setVersion(Version.TEXT).build()));
        } catch (ProblemException e) {
            Problem p = e.problem();
            String next = p.next().isEmpty() ? "" : p.next() + "; ";
            throw new ProblemException(
                    new Problem(
                            p.kind(),
                            p.kind() == Problem.Kind.UNAUTHENTICATED
                                    ? "the token in " + node.tokenFile() + " is refused: " + p.what()
                                    : p.what(),
                            p.where(),
                            next + "nothing was saved, --offline saves without asking"),
                    e);
        }
        if (!hello.getNode().equals(node.name().value())) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the agent there is of node '" + Text.printable(hello.getNode()) + "'")
                    .at(node.address().toString())
                    .next("mcp node add " + Text.printable(hello.getNode()) + " " + node.address()
                            + " …; nothing was saved")
                    .exception();
        }
        return hello;
    }

    /** Atomically, and never readable by others before it is whole. */
    static void write(Path file, byte[] content, String permissions) {
        try {
            Path folder = file.getParent();
            if (folder == null) {
                throw new IOException("it has no folder");
            }
            Files.createDirectories(folder);
            FileAttribute<?> mode = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions));
            Path temporary = Files.createTempFile(folder, ".node-", ".tmp", mode);
            try {
                Files.write(temporary, content);
                Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            throw new ProblemException(
                    new Problem(Problem.Kind.FAILED, "cannot be written: " + e.getMessage(), file.toString(), ""), e);
        }
    }

    private static void print(Session session, Name name, Address address, Optional<HelloResponse> hello) {
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result",
                            "ok",
                            "node",
                            name.value(),
                            "address",
                            address.toString(),
                            "reached",
                            hello.isPresent(),
                            "version",
                            hello.map(HelloResponse::getVersion).orElse(null),
                            "role",
                            hello.map(HelloResponse::getRole).orElse(null))));
            return;
        }
        session.out()
                .println("added node " + name + " at " + address
                        + hello.map(h -> ": mcp-agent " + Text.printable(h.getVersion()) + ", token '"
                                        + Text.printable(h.getTokenName()) + "' with role "
                                        + Text.printable(h.getRole()))
                                .orElse(", without asking it"));
    }
}
