package dev.metacircular.cli.http2;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.MethodDescriptor;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * A gRPC channel to one agent. It connects with its first call, and anew after the connection was lost; starting a call
 * blocks until it is connected. A call's listener is called by its options' executor, and by the connection's reading
 * thread where there is none: it must not block then. Sending blocks while the agent takes no more.
 */
public final class Http2Channel extends Channel implements AutoCloseable {
    private final Endpoint endpoint;
    private final String userAgent;
    private @Nullable Http2Connection connection;

    public Http2Channel(Endpoint endpoint, String userAgent) {
        this.endpoint = endpoint;
        this.userAgent = userAgent;
    }

    @Override
    public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
        return new Http2Call<>(this, method, options);
    }

    @Override
    public String authority() {
        return endpoint.authority();
    }

    String userAgent() {
        return userAgent;
    }

    String token() {
        return endpoint.token().get();
    }

    String node() {
        return endpoint.node();
    }

    /** @throws dev.metacircular.model.ProblemException if it cannot be made */
    synchronized Http2Connection connection() throws IOException {
        if (connection == null || !connection.isUsable()) {
            connection = new Http2Connection(new Connector(endpoint).connect(), endpoint.node());
        }
        return connection;
    }

    /** Ends every call. */
    @Override
    public synchronized void close() {
        if (connection != null) {
            connection.close();
        }
    }
}
