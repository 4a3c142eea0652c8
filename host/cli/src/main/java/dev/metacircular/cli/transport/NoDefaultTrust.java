package dev.metacircular.cli.transport;

import java.security.GeneralSecurityException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;

/**
 * A TLS context that trusts nobody, as this process's default. gRPC's OkHttp transport asks for the default when it is loaded, for the name of its
 * provider alone, and the JDK's own would read all of the system's authorities for that. Who wants those makes a context of his own
 * ({@code SSLContext.init(null, null, null)}).
 */
final class NoDefaultTrust {
    static final SSLContext CONTEXT = make();

    private NoDefaultTrust() {}

    private static SSLContext make() {
        try {
            SSLContext context = SSLContext.getInstance("TLSv1.3");
            context.init(null, new TrustManager[0], null);
            SSLContext.setDefault(context);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("this Java runtime has no TLS 1.3", e);
        }
    }
}
