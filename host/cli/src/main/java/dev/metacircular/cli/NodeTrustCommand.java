package dev.metacircular.cli;

import dev.metacircular.cli.transport.PresentedChain;
import dev.metacircular.contract.ExitStatus;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp node trust}: takes a node's new authority, after both fingerprints were shown. */
final class NodeTrustCommand implements Command {
    private static final Duration ASK = Duration.ofSeconds(5);

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "trust",
                "Takes a node's new certificate authority in the place of the known one, after showing the fingerprints of"
                        + " both.",
                "Compare the new one with what mcp-agent renew-ca printed on the node.");
        spec.addPositional(Models.required(0, "NODE", "The node."));
        spec.addOption(Models.value("--ca", "FILE", "Take this ca.pem, and not what the node shows."));
        spec.addOption(Models.value(
                "--fingerprint", "SHA256", "Take it only if this is its fingerprint, and ask nothing; for scripts."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        ClientConfig.Node node = View.node(session, session.config(), arguments.requiredName(0));
        X509Certificate known = read(node.ca());
        X509Certificate next =
                arguments.path("--ca").map(NodeTrustCommand::read).orElseGet(() -> shown(session, node));
        String before = fingerprint(known);
        String after = fingerprint(next);
        boolean same = before.equals(after);
        if (!session.json()) {
            describe(session, "known", known, before);
            describe(session, "new  ", next, after);
            session.out().flush();
        }
        Optional<String> given = arguments.text("--fingerprint");
        given.ifPresent(g -> requireEqual(node, g, after));
        if (!same) {
            if (given.isEmpty()) {
                confirm(session, node, after);
            }
            take(session, node, next);
        }
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result",
                            "ok",
                            "node",
                            node.name().value(),
                            "known_sha256",
                            before,
                            "new_sha256",
                            after,
                            "changed",
                            !same)));
        } else {
            session.out()
                    .println(
                            same
                                    ? "they are the same: nothing to do"
                                    : "node " + node.name() + " is trusted by its new authority");
        }
        return ExitStatus.DONE;
    }

    private static X509Certificate shown(Session session, ClientConfig.Node node) {
        try {
            return PresentedChain.authority(
                    node.address().host(), node.address().port(), Nodes.limit(session, ASK));
        } catch (ProblemException e) {
            throw new ProblemException(Nodes.at(node, e.problem()), e);
        }
    }

    private static void describe(Session session, String which, X509Certificate certificate, String fingerprint) {
        session.out()
                .println(which + "  SHA-256 " + fingerprint + "\n       "
                        + Text.printable(certificate.getSubjectX500Principal().getName()) + ", from "
                        + certificate.getNotBefore().toInstant() + " to "
                        + certificate.getNotAfter().toInstant());
    }

    private static void requireEqual(ClientConfig.Node node, String given, String fingerprint) {
        String hex = plain(given);
        if (!hex.matches("[0-9A-F]{" + plain(fingerprint).length() + "}")) {
            throw Problem.of(Problem.Kind.INVALID, "'" + Text.printable(given) + "' is no SHA-256 fingerprint")
                    .at("--fingerprint")
                    .next("give its 64 hexadecimal digits, with or without colons; nothing was changed")
                    .exception();
        }
        if (!hex.equals(plain(fingerprint))) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the authority has another fingerprint than the given: " + fingerprint)
                    .at("node " + node.name())
                    .next("look on the node what it is; nothing was changed")
                    .exception();
        }
    }

    private static void confirm(Session session, ClientConfig.Node node, String fingerprint) {
        if (session.json()
                || !session.streams().inIsTerminal()
                || !session.streams().outIsTerminal()) {
            throw Problem.of(Problem.Kind.INVALID, "there is no terminal on which to ask")
                    .at("node " + node.name())
                    .next("compare, then repeat with --fingerprint " + fingerprint + "; nothing was changed")
                    .exception();
        }
        session.out().print("Take the new one? Only if the node printed the same fingerprint [yes/no] ");
        session.out().flush();
        try {
            String answer = new BufferedReader(new InputStreamReader(session.in(), StandardCharsets.UTF_8)).readLine();
            if (answer == null || !answer.strip().equals("yes")) {
                throw Problem.of(Problem.Kind.FAILED, "the new authority was not taken; nothing was changed")
                        .next("compare it with what mcp-agent renew-ca printed on the node, then answer yes")
                        .exception();
            }
        } catch (IOException e) {
            throw new ProblemException(Problem.of(Problem.Kind.FAILED, "there is no answer: " + e.getMessage()), e);
        }
    }

    private static String plain(String fingerprint) {
        return fingerprint.strip().replace(":", "").toUpperCase(Locale.ROOT);
    }

    /** Only if the node then answers as itself is it kept. */
    private static void take(Session session, ClientConfig.Node node, X509Certificate next) {
        try {
            byte[] pem = ("-----BEGIN CERTIFICATE-----\n"
                            + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(next.getEncoded())
                            + "\n-----END CERTIFICATE-----\n")
                    .getBytes(StandardCharsets.US_ASCII);
            Path trial = Files.createTempFile("mcp-trust-", ".pem");
            try {
                Files.write(trial, pem);
                NodeAddCommand.hello(
                        session, new ClientConfig.Node(node.name(), node.address(), trial, node.tokenFile()));
            } finally {
                Files.deleteIfExists(trial);
            }
            NodeAddCommand.write(node.ca(), pem, "rw-r--r--");
        } catch (IOException | GeneralSecurityException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.FAILED, "the new authority cannot be written: " + e.getMessage())
                            .at(node.ca().toString()),
                    e);
        }
    }

    private static X509Certificate read(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        } catch (IOException | GeneralSecurityException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.INVALID, "it is no PEM certificate that can be read: " + e.getMessage())
                            .at(file.toString()),
                    e);
        }
    }

    private static String fingerprint(X509Certificate certificate) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded());
            return HexFormat.ofDelimiter(":").withUpperCase().formatHex(digest);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }
}
