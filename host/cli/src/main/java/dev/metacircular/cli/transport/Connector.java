package dev.metacircular.cli.transport;

import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.Provider;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import javax.net.SocketFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;

/**
 * Connects to an agent: TLS 1.3, its own CA alone, its name checked (RFC 9525), X25519. What
 * fails is an I/O error whose cause is the problem in an operator's words.
 */
final class Connector {
    private static final long MAX_CA_BYTES = 1 << 20;

    private final Endpoint endpoint;
    private final Provider provider;

    /** @param provider whose TLS is used */
    Connector(Endpoint endpoint, Provider provider) {
        this.endpoint = endpoint;
        this.provider = provider;
    }

    /** Makes connections within the endpoint's time-out. */
    SocketFactory plain() {
        return new SocketFactory() {
            @Override
            public Socket createSocket(InetAddress address, int port) throws IOException {
                Socket socket = new Socket();
                try {
                    socket.connect(new InetSocketAddress(address, port), timeoutMs());
                    socket.setTcpNoDelay(true);
                    return socket;
                } catch (IOException e) {
                    closeQuietly(socket);
                    throw new IOException(explain(e));
                }
            }

            @Override
            public Socket createSocket(String host, int port) throws IOException {
                return createSocket(InetAddress.getByName(host), port);
            }

            @Override
            public Socket createSocket(String host, int port, InetAddress local, int localPort) throws IOException {
                return createSocket(host, port);
            }

            @Override
            public Socket createSocket(InetAddress address, int port, InetAddress local, int localPort)
                    throws IOException {
                return createSocket(address, port);
            }
        };
    }

    /** Lays TLS over a connection, handshake included, within the endpoint's time-out. */
    SSLSocketFactory tls() {
        return new SSLSocketFactory() {
            @Override
            public Socket createSocket(Socket socket, String host, int port, boolean autoClose) throws IOException {
                try {
                    SSLSocket tls = (SSLSocket) context()
                            .getSocketFactory()
                            .createSocket(socket, endpoint.host(), endpoint.port(), autoClose);
                    tls.setSSLParameters(parameters(tls.getSSLParameters()));
                    tls.setSoTimeout(timeoutMs());
                    tls.startHandshake();
                    requireName((X509Certificate) tls.getSession().getPeerCertificates()[0]);
                    tls.setSoTimeout(0);
                    return tls;
                } catch (IOException | GeneralSecurityException e) {
                    throw new IOException(explain(e));
                } catch (ProblemException e) {
                    throw new IOException(e);
                }
            }

            @Override
            public String[] getDefaultCipherSuites() {
                return new String[0];
            }

            @Override
            public String[] getSupportedCipherSuites() {
                return new String[0];
            }

            @Override
            public Socket createSocket(String host, int port) throws IOException {
                return createSocket(plain().createSocket(host, port), host, port, true);
            }

            @Override
            public Socket createSocket(String host, int port, InetAddress local, int localPort) throws IOException {
                return createSocket(host, port);
            }

            @Override
            public Socket createSocket(InetAddress address, int port) throws IOException {
                return createSocket(plain().createSocket(address, port), address.getHostName(), port, true);
            }

            @Override
            public Socket createSocket(InetAddress address, int port, InetAddress local, int localPort)
                    throws IOException {
                return createSocket(address, port);
            }
        };
    }

    private int timeoutMs() {
        return Math.toIntExact(endpoint.connectTimeout().toMillis());
    }

    private static SSLParameters parameters(SSLParameters parameters) {
        parameters.setProtocols(new String[] {"TLSv1.3"});
        parameters.setNamedGroups(new String[] {"x25519"});
        parameters.setApplicationProtocols(new String[] {"h2"});
        return parameters;
    }

    /**
     * Checks the name before anything is sent. The JDK's own check ("HTTPS") reads all of the system's authorities first, to know
     * whether the chain is one of theirs: that took longer than the whole handshake.
     */
    private void requireName(X509Certificate certificate) throws CertificateException {
        if (!PeerName.matches(certificate, endpoint.host())) {
            throw unreachable(
                    "the node's certificate is not for " + endpoint.host() + ", but for "
                            + String.join(", ", PeerName.of(certificate)),
                    "use an address that the certificate names",
                    null);
        }
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
        SSLContext context = SSLContext.getInstance("TLSv1.3", provider);
        context.init(null, managers, null);
        return context;
    }

    private Collection<? extends Certificate> authorities() {
        try {
            if (Files.size(endpoint.ca()) > MAX_CA_BYTES) {
                throw faultyCa("it is too long", null);
            }
            Collection<? extends Certificate> found = CertificateFactory.getInstance("X.509")
                    .generateCertificates(new ByteArrayInputStream(Files.readAllBytes(endpoint.ca())));
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
        return unreachable(
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
