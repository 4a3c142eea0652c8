package dev.metacircular.cli.transport;

import dev.metacircular.contract.Bearer;
import dev.metacircular.contract.MeantNode;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.model.ProblemException;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.okhttp.OkHttpChannelBuilder;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A gRPC channel to one agent, with the node's token on every call. It connects with its first call, and anew after the connection was
 * lost. Each call but Hello says which node it means. A call that could not connect ends with a typed problem in an operator's words.
 */
public final class AgentChannel extends Channel implements AutoCloseable {
    private static final int KEEPALIVE_S = 30;
    private static final int KEEPALIVE_ANSWER_S = 20;

    private final Endpoint endpoint;
    private final ManagedChannel channel;
    private final boolean owner;

    public AgentChannel(Endpoint endpoint, String userAgent) {
        this.endpoint = endpoint;
        Connector connector = new Connector(endpoint, NoDefaultTrust.CONTEXT.getProvider());
        this.channel = OkHttpChannelBuilder.forAddress(endpoint.host(), endpoint.port())
                .socketFactory(connector.plain())
                .sslSocketFactory(connector.tls())
                .userAgent(userAgent)
                .proxyDetector(address -> null)
                .keepAliveTime(KEEPALIVE_S, TimeUnit.SECONDS)
                .keepAliveTimeout(KEEPALIVE_ANSWER_S, TimeUnit.SECONDS)
                .maxInboundMessageSize(16 << 20)
                .disableRetry()
                .disableServiceConfigLookUp()
                .build();
        this.owner = true;
    }

    private AgentChannel(AgentChannel other) {
        this.endpoint = other.endpoint;
        this.channel = other.channel;
        this.owner = false;
    }

    /** This one's connection, which closing the result leaves open. */
    public AgentChannel shared() {
        return new AgentChannel(this);
    }

    @Override
    public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
        return new SimpleForwardingClientCall<>(channel.newCall(method, options)) {
            @Override
            public void start(Listener<A> responses, Metadata headers) {
                headers.put(Bearer.AUTHORIZATION, Bearer.header(endpoint.token().get()));
                if (!method.getFullMethodName()
                        .equals(AgentGrpc.getHelloMethod().getFullMethodName())) {
                    headers.put(MeantNode.HEADER, endpoint.node());
                }
                super.start(new Explaining<>(responses), headers);
            }
        };
    }

    @Override
    public String authority() {
        return channel.authority();
    }

    /** Ends every call, where the connection is not another's. */
    @Override
    public void close() {
        if (owner) {
            channel.shutdownNow();
        }
    }

    /** Replaces the transport's words for a connection that could not be made by the problem behind them. */
    private static final class Explaining<A> extends SimpleForwardingClientCallListener<A> {
        Explaining(ClientCall.Listener<A> listener) {
            super(listener);
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            ProblemException known = Stream.iterate(status.getCause(), c -> c != null, Throwable::getCause)
                    .filter(ProblemException.class::isInstance)
                    .map(ProblemException.class::cast)
                    .findFirst()
                    .orElse(null);
            if (known == null) {
                super.onClose(status, trailers);
                return;
            }
            StatusRuntimeException told = Problems.toStatus(known.problem());
            Metadata detail = told.getTrailers();
            super.onClose(told.getStatus().withCause(known), detail == null ? new Metadata() : detail);
        }
    }
}
