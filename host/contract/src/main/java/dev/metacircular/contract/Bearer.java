package dev.metacircular.contract;

import io.grpc.Metadata;
import java.util.Optional;

/** The bearer token of a call (RFC 6750, section 2.1). */
public final class Bearer {
    public static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private static final String SCHEME = "Bearer ";

    private Bearer() {}

    public static String header(String token) {
        return SCHEME + token;
    }

    /** The token that the headers carry; empty where there is none, or another scheme. */
    public static Optional<String> token(Metadata headers) {
        return Optional.ofNullable(headers.get(AUTHORIZATION))
                .filter(h -> h.regionMatches(true, 0, SCHEME, 0, SCHEME.length()))
                .map(h -> h.substring(SCHEME.length()).strip())
                .filter(t -> !t.isEmpty());
    }
}
