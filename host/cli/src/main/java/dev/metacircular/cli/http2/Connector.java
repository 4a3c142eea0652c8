package dev.metacircular.cli.http2;

import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import jdk.net.ExtendedSocketOptions;
import org.jspecify.annotations.Nullable;

/**
 * Connects to an agent: TLS 1.3, its own CA alone, its name checked (RFC 9525), X25519. A peer that falls silent is
 * noticed by TCP keep-alive within a minute.
 */
final class Connector {
    private static final int KEEPALIVE_IDLE_S = 20;
    private static final int KEEPALIVE_INTERVAL_S = 10;
    private static final int KEEPALIVE_PROBES = 3;

    private final Endpoint endpoint;

    Connector(Endpoint endpoint) {
        this.endpoint = endpoint;
    }

    /** @throws ProblemException of kind {@code UNREACHABLE} with the cause in an operator's words */
    SSLSocket connect() {
        Socket plain = null;
        boolean connected = false;
        try {
            SSLContext tls = context();
            int timeoutMs = Math.toIntExact(endpoint.connectTimeout().toMillis());
            plain = connectPlain(timeoutMs);
            plain.setTcpNoDelay(true);
            plain.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
            plain.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
            plain.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, KEEPALIVE_INTERVAL_S);
            plain.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, KEEPALIVE_PROBES);
            SSLSocket socket =
                    (SSLSocket) tls.getSocketFactory().createSocket(plain, endpoint.host(), endpoint.port(), true);
            socket.setSSLParameters(parameters(socket.getSSLParameters()));
            socket.setSoTimeout(timeoutMs);
            socket.startHandshake();
            if (!"h2".equals(socket.getApplicationProtocol())) {
                throw unreachable(
                        "what answers there is not an agent: it does not speak HTTP/2", "check the address", null);
            }
            socket.setSoTimeout(0);
            connected = true;
            return socket;
        } catch (IOException | GeneralSecurityException e) {
            throw explain(e);
        } finally {
            if (!connected && plain != null) {
                closeQuietly(plain);
            }
        }
    }

    /** Tries the host's addresses one after the other; the last failure counts. */
    private Socket connectPlain(int timeoutMs) throws IOException {
        IOException last = new UnknownHostException(endpoint.host());
        for (InetAddress address : InetAddress.getAllByName(endpoint.host())) {
            Socket socket = new Socket();
            try {
                socket.connect(new InetSocketAddress(address, endpoint.port()), timeoutMs);
                return socket;
            } catch (IOException e) {
                closeQuietly(socket);
                last = e;
            }
        }
        throw last;
    }

    private static SSLParameters parameters(SSLParameters parameters) {
        parameters.setProtocols(new String[] {"TLSv1.3"});
        parameters.setNamedGroups(new String[] {"x25519"});
        parameters.setApplicationProtocols(new String[] {"h2"});
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        return parameters;
    }

    private SSLContext context() throws IOException, GeneralSecurityException {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        int count = 0;
        for (Certificate certificate : authorities()) {
            trusted.setCertificateEntry("ca" + count++, certificate);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(trusted);
        TrustManager[] managers = factory.getTrustManagers();
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        context.init(null, managers, null);
        return context;
    }

    private Collection<? extends Certificate> authorities() {
        try (InputStream in = Files.newInputStream(endpoint.ca())) {
            Collection<? extends Certificate> found =
                    CertificateFactory.getInstance("X.509").generateCertificates(in);
            if (!found.isEmpty()) {
                return found;
            }
            throw faultyCa("it holds no certificate", null);
        } catch (IOException e) {
            throw faultyCa("it cannot be read: " + e.getMessage(), e);
        } catch (CertificateException e) {
            throw faultyCa("it is not a PEM certificate", e);
        }
    }

    private ProblemException faultyCa(String why, @Nullable Exception cause) {
        return problem(
                Problem.Kind.INVALID,
                "the CA file " + endpoint.ca() + " is of no use: " + why,
                "take ca.pem from the agent's directory and add the node again: mcp node add " + endpoint.node() + " "
                        + endpoint.authority() + " --ca FILE --token-file FILE --replace",
                cause);
    }

    private ProblemException explain(Exception failure) {
        return switch (failure) {
            case UnknownHostException e ->
                unreachable("the host name '" + endpoint.host() + "' cannot be resolved", "check the address", e);
            case ConnectException e ->
                unreachable(
                        lowerFirst(String.valueOf(e.getMessage())),
                        "check the address, and that mcp-agent runs on the node",
                        e);
            case SocketTimeoutException e ->
                unreachable(
                        "no answer within " + endpoint.connectTimeout().toMillis() + " ms",
                        "check the address, the network, and that mcp-agent runs on the node",
                        e);
            case SSLException e -> explainTls(e);
            case IOException e -> unreachable(lowerFirst(String.valueOf(e.getMessage())), "", e);
            default -> unreachable("TLS cannot be set up: " + failure.getMessage(), "", failure);
        };
    }

    private ProblemException explainTls(SSLException failure) {
        List<Throwable> causes = Stream.iterate((Throwable) failure, c -> c != null, Throwable::getCause)
                .toList();
        for (Throwable cause : causes) {
            if (cause instanceof CertificateExpiredException || cause instanceof CertificateNotYetValidException) {
                return unreachable(
                        "the node's certificate is not valid now: " + cause.getMessage(),
                        "check the clocks of both machines; an agent that runs renews its certificate",
                        failure);
            }
        }
        if (causes.stream()
                .anyMatch(c -> c instanceof CertPathBuilderException || c instanceof CertPathValidatorException)) {
            return unreachable(
                    "the node's certificate was not issued by the CA in " + endpoint.ca(),
                    "check the address; if the node has a new CA, take its ca.pem and add it again with --replace",
                    failure);
        }
        boolean otherName = failure.getCause() instanceof CertificateException;
        return otherName
                ? unreachable(
                        "the node's certificate is not for " + endpoint.host() + ": "
                                + lowerFirst(String.valueOf(failure.getMessage())),
                        "use an address that the certificate names",
                        failure)
                : unreachable(
                        "no TLS 1.3 connection: " + lowerFirst(String.valueOf(failure.getMessage())),
                        "check that the address is the agent's",
                        failure);
    }

    private ProblemException unreachable(String what, String next, @Nullable Exception cause) {
        return problem(Problem.Kind.UNREACHABLE, what, next, cause);
    }

    private ProblemException problem(Problem.Kind kind, String what, String next, @Nullable Exception cause) {
        Problem problem = new Problem(kind, what, "node " + endpoint.node() + ", " + endpoint.authority(), next);
        return cause == null ? new ProblemException(problem) : new ProblemException(problem, cause);
    }

    private static String lowerFirst(String text) {
        return text.isEmpty() ? text : Character.toLowerCase(text.charAt(0)) + text.substring(1);
    }

    private static void closeQuietly(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // It was being given up: what failed before is what is told.
        }
    }
}
