package dev.metacircular.cli.transport;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManagerFactory;

/**
 * Initialises what a TLS handshake needs while the command line and the configuration are still being read: on a second
 * core this takes about a third off the time of a command that asks a node.
 */
public final class Warmup {
    private Warmup() {}

    /** Returns at once. What fails here fails again, and is told, when it is needed. */
    public static void start() {
        Thread thread = new Thread(Warmup::run, "warm-up");
        thread.setDaemon(true);
        thread.start();
    }

    private static void run() {
        try {
            SSLEngine engine = NoDefaultTrust.CONTEXT.createSSLEngine();
            engine.setUseClientMode(true);
            KeyPairGenerator.getInstance("X25519").generateKeyPair();
            CertificateFactory.getInstance("X.509");
            KeyStore.getInstance("PKCS12");
            TrustManagerFactory.getInstance("PKIX");
            KeyFactory.getInstance("RSA");
            Signature.getInstance("RSASSA-PSS");
        } catch (GeneralSecurityException e) {
            // Told when it is needed.
        }
    }
}
