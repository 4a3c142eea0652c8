package dev.metacircular.cli.transport;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

/** Asks a server for its certificates, believing nothing of them and sending nothing else. */
public final class PresentedChain {
    private PresentedChain() {}

    /**
     * The authority that the server says it has, of which its own certificate is and which names the host.
     *
     * @throws dev.metacircular.model.ProblemException {@code UNREACHABLE}, or {@code FAILED} if what it shows does not fit together
     */
    public static X509Certificate authority(String host, int port, Duration timeout) {
        List<X509Certificate> chain = chain(host, port, timeout);
        X509Certificate server = chain.getFirst();
        X509Certificate authority = chain.getLast();
        try {
            if (chain.size() < 2 || authority.getBasicConstraints() < 0) {
                throw Problem.of(Problem.Kind.FAILED, "the agent does not show its authority")
                        .next("upgrade it, or copy its ca.pem and give it with --ca")
                        .exception();
            }
            authority.verify(authority.getPublicKey());
            authority.checkValidity();
            server.verify(authority.getPublicKey());
            server.checkValidity();
            if (!PeerName.matches(server, host)) {
                throw Problem.of(
                                Problem.Kind.FAILED,
                                "its certificate is for " + String.join(", ", PeerName.of(server)) + ", not for "
                                        + host)
                        .exception();
            }
            return authority;
        } catch (GeneralSecurityException e) {
            throw Problem.of(Problem.Kind.FAILED, "what it shows does not fit together: " + e.getMessage())
                    .exception();
        }
    }

    private static List<X509Certificate> chain(String host, int port, Duration timeout) {
        int timeoutMs = Math.toIntExact(timeout.toMillis());
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(host, port), timeoutMs);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, new TrustManager[] {new Anyone()}, null);
            try (SSLSocket tls = (SSLSocket) context.getSocketFactory().createSocket(socket, host, port, true)) {
                SSLParameters parameters = tls.getSSLParameters();
                parameters.setProtocols(new String[] {"TLSv1.3"});
                parameters.setApplicationProtocols(new String[] {"h2"});
                tls.setSSLParameters(parameters);
                tls.setSoTimeout(timeoutMs);
                tls.startHandshake();
                return List.of(tls.getSession().getPeerCertificates()).stream()
                        .map(X509Certificate.class::cast)
                        .toList();
            }
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.UNREACHABLE, "its certificates cannot be asked for: " + e.getMessage())
                    .next("look at the agent there")
                    .exception();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Nothing is sent over such a connection, and nothing that comes is believed. */
    private static final class Anyone extends X509ExtendedTrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
