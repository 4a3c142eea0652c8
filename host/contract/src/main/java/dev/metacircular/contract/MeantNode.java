package dev.metacircular.contract;

import io.grpc.Metadata;
import java.util.Optional;

/** The node that a client means, sent with its calls, so that an agent that is another node's does nothing. */
public final class MeantNode {
    public static final Metadata.Key<String> HEADER = Metadata.Key.of("mcp-node", Metadata.ASCII_STRING_MARSHALLER);

    private MeantNode() {}

    /** Empty where the client does not say, as older ones do not. */
    public static Optional<String> in(Metadata headers) {
        return Optional.ofNullable(headers.get(HEADER));
    }
}
