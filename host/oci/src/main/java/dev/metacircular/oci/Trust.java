package dev.metacircular.oci;

import dev.metacircular.oci.OciException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Collection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;
import javax.net.ssl.X509TrustManager;

/** Whose certificates are taken. */
final class Trust {
    private Trust() {}

    static SSLContext context(Access access) {
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            TrustManager[] managers = access.insecure()
                    ? new TrustManager[] {new Anybody()}
                    : access.caFile().isPresent() ? managers(access.caFile().get()) : null;
            context.init(null, managers, null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new OciException(Kind.FAILED, "TLS cannot be set up: " + OneLine.of(e), e);
        }
    }

    /** The system's authorities and those of the file. */
    private static TrustManager[] managers(Path caFile) throws GeneralSecurityException {
        try (InputStream in = Files.newInputStream(caFile)) {
            Collection<? extends Certificate> certificates =
                    CertificateFactory.getInstance("X.509").generateCertificates(in);
            if (certificates.isEmpty()) {
                throw new OciException(Kind.FAILED, caFile + " holds no certificate");
            }
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            int number = 0;
            for (Certificate certificate : certificates) {
                store.setCertificateEntry("ca-" + number++, certificate);
            }
            for (TrustManager system : trusting(null)) {
                if (system instanceof X509TrustManager x509) {
                    for (X509Certificate certificate : x509.getAcceptedIssuers()) {
                        store.setCertificateEntry("ca-" + number++, certificate);
                    }
                }
            }
            return trusting(store);
        } catch (IOException | java.security.cert.CertificateException e) {
            throw new OciException(
                    Kind.FAILED, "the certificates in " + caFile + " cannot be read: " + OneLine.of(e), e);
        }
    }

    private static TrustManager[] trusting(@org.jspecify.annotations.Nullable KeyStore store)
            throws GeneralSecurityException {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory.getTrustManagers();
    }

    /** For a registry that the operator calls insecure; being an extended one, it also stands for the check of the host's name. */
    private static final class Anybody extends X509ExtendedTrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
