package dev.metacircular.agent;

import java.net.Socket;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedKeyManager;
import org.jspecify.annotations.Nullable;

/** The one certificate that the server shows; connections that begin after a change have the new one. */
final class ServerIdentity extends X509ExtendedKeyManager {
    private static final String ALIAS = "server";

    private volatile Shown shown;

    /** @param chain the server's own first */
    record Shown(List<X509Certificate> chain, PrivateKey key) {
        Shown {
            chain = List.copyOf(chain);
        }
    }

    ServerIdentity(Shown shown) {
        this.shown = shown;
    }

    void change(Shown next) {
        shown = next;
    }

    @Override
    public X509Certificate[] getCertificateChain(@Nullable String alias) {
        return shown.chain().toArray(X509Certificate[]::new);
    }

    @Override
    public PrivateKey getPrivateKey(@Nullable String alias) {
        return shown.key();
    }

    @Override
    public @Nullable String chooseEngineServerAlias(
            @Nullable String keyType, Principal @Nullable [] issuers, @Nullable SSLEngine engine) {
        return shown.key().getAlgorithm().equals(keyType) || "RSASSA-PSS".equals(keyType) ? ALIAS : null;
    }

    @Override
    public @Nullable String chooseServerAlias(
            @Nullable String keyType, Principal @Nullable [] issuers, @Nullable Socket socket) {
        return chooseEngineServerAlias(keyType, issuers, null);
    }

    @Override
    public String[] getServerAliases(@Nullable String keyType, Principal @Nullable [] issuers) {
        return new String[] {ALIAS};
    }

    @Override
    public String @Nullable [] getClientAliases(@Nullable String keyType, Principal @Nullable [] issuers) {
        return null;
    }

    @Override
    public @Nullable String chooseClientAlias(
            String @Nullable [] keyType, Principal @Nullable [] issuers, @Nullable Socket socket) {
        return null;
    }
}
