package dev.metacircular.cli;

import dev.metacircular.contract.v1.Finding;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.Parsed;
import dev.metacircular.model.Name;
import dev.metacircular.model.Service;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** What {@code mcp doctor} looks at on this side. */
final class ClientChecks {
    private static final Duration SOON = Duration.ofDays(30);

    private final Session session;
    private final List<Finding> findings = new ArrayList<>();
    private ClientConfig config = ClientConfig.empty();

    ClientChecks(Session session) {
        this.session = session;
        directory();
        configuration();
        config.nodes().values().forEach(this::node);
        definitions();
    }

    List<Finding> findings() {
        return findings;
    }

    /** What could be read of it. */
    ClientConfig config() {
        return config;
    }

    private void add(String check, String status, String message, String fix) {
        findings.add(DoctorCommand.finding(check, status, message, fix));
    }

    private void directory() {
        Path home = session.home();
        if (Files.isDirectory(home)) {
            add("directory", "ok", home.toString(), "");
        } else {
            add("directory", "warning", home + " does not exist yet", "mkdir -p " + home.resolve("services"));
        }
    }

    private void configuration() {
        switch (session.configFile().read()) {
            case Parsed.Valid<ClientConfig>(ClientConfig valid) -> {
                config = valid;
                int count = valid.nodes().size();
                if (count == 0) {
                    add(
                            "nodes",
                            "warning",
                            "no node is known",
                            "mcp node add NAME HOST:PORT --ca FILE --token-file FILE");
                } else {
                    add("nodes", "ok", count == 1 ? "one node is known" : count + " nodes are known", "");
                }
            }
            case Parsed.Faulty<ClientConfig> faulty ->
                faulty.faults().forEach(f -> add("mcp.toml", "error", f.toString(), "correct the file"));
        }
    }

    private void node(ClientConfig.Node node) {
        Name name = node.name();
        String replace = "mcp node add " + name + " " + node.address() + " --ca FILE --token-file FILE --replace";
        certificate(node, replace);
        try {
            Set<PosixFilePermission> mode = Files.getPosixFilePermissions(node.tokenFile());
            boolean open = mode.stream()
                    .anyMatch(p -> p.name().startsWith("GROUP") || p.name().startsWith("OTHERS"));
            if (open) {
                add("token", "error", node.tokenFile() + " can be read by others", "chmod 600 " + node.tokenFile());
            } else {
                add("token", "ok", "of " + name + " is the operator's alone", "");
            }
        } catch (IOException e) {
            add("token", "error", node.tokenFile() + " cannot be read", replace);
        }
    }

    private void certificate(ClientConfig.Node node, String replace) {
        try (InputStream in = Files.newInputStream(node.ca())) {
            Instant now = session.clock().instant();
            for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                Instant end = ((X509Certificate) c).getNotAfter().toInstant();
                boolean ended = end.isBefore(now);
                String message = "of " + node.name() + (ended ? " ended on " : " lasts until ") + end;
                if (end.isBefore(now.plus(SOON))) {
                    add("ca", ended ? "error" : "warning", message, replace);
                } else {
                    add("ca", "ok", message, "");
                }
            }
        } catch (IOException | CertificateException e) {
            add("ca", "error", node.ca() + " holds no certificate that can be read", replace);
        }
    }

    private void definitions() {
        session.definitions().readAll().forEach(d -> {
            switch (d.service()) {
                case Parsed.Valid<Service>(Service service) -> {
                    if (config.nodes().containsKey(service.node())) {
                        add("definition", "ok", service.name() + " on " + service.node(), "");
                    } else {
                        add(
                                "definition",
                                "error",
                                service.name() + " is for node '" + service.node() + "', which is not known",
                                "mcp node add " + service.node() + " HOST:PORT --ca FILE --token-file FILE");
                    }
                }
                case Parsed.Faulty<Service> faulty ->
                    faulty.faults().forEach(f -> add("definition", "error", f.toString(), "correct the file"));
            }
        });
    }
}
