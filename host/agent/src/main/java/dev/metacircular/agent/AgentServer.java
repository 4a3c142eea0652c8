package dev.metacircular.agent;

import dev.metacircular.definition.Address;
import dev.metacircular.model.Problem;
import io.grpc.Server;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyServerBuilder;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** gRPC over TLS 1.3 on the configured address; everything that a peer can ask for is bounded. */
final class AgentServer implements AutoCloseable {
    static final int MAX_MESSAGE_BYTES = 4 << 20;
    private static final int MAX_METADATA_BYTES = 16 << 10;
    private static final int MAX_CALLS_PER_CONNECTION = 64;
    private static final int EVENT_LOOPS = 2;
    private static final long HANDSHAKE_TIMEOUT_S = 10;
    private static final long MAX_IDLE_MINUTES = 15;
    private static final long KEEPALIVE_MINUTES = 2;
    private static final long KEEPALIVE_TIMEOUT_S = 20;
    private static final long PERMIT_KEEPALIVE_S = 10;
    private static final long CLOSE_GRACE_S = 2;

    private final Server server;
    private final EventLoopGroup acceptor = new NioEventLoopGroup(1);
    private final EventLoopGroup workers = new BoundedConnections(EVENT_LOOPS);
    private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();

    /** Binds and serves. */
    AgentServer(Address listen, ServerIdentity identity, AgentService service, AuthInterceptor auth)
            throws IOException {
        InetSocketAddress address = new InetSocketAddress(listen.host(), listen.port());
        if (address.isUnresolved()) {
            throw Problem.of(Problem.Kind.INVALID, "the name '" + listen.host() + "' does not resolve")
                    .at("listen in agent.toml")
                    .exception();
        }
        SslContext tls = GrpcSslContexts.configure(SslContextBuilder.forServer(identity), SslProvider.JDK)
                .protocols("TLSv1.3")
                .build();
        server = NettyServerBuilder.forAddress(address)
                .bossEventLoopGroup(acceptor)
                .workerEventLoopGroup(workers)
                .channelType(NioServerSocketChannel.class)
                .sslContext(tls)
                .executor(executor)
                .handshakeTimeout(HANDSHAKE_TIMEOUT_S, TimeUnit.SECONDS)
                .maxConnectionIdle(MAX_IDLE_MINUTES, TimeUnit.MINUTES)
                .keepAliveTime(KEEPALIVE_MINUTES, TimeUnit.MINUTES)
                .keepAliveTimeout(KEEPALIVE_TIMEOUT_S, TimeUnit.SECONDS)
                .permitKeepAliveTime(PERMIT_KEEPALIVE_S, TimeUnit.SECONDS)
                .permitKeepAliveWithoutCalls(true)
                .maxConcurrentCallsPerConnection(MAX_CALLS_PER_CONNECTION)
                .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                .maxInboundMetadataSize(MAX_METADATA_BYTES)
                .addService(RequestForm.guard(service, auth))
                .build();
        try {
            server.start();
        } catch (IOException e) {
            stop();
            String why = e.getCause() == null ? e.getMessage() : e.getCause().getMessage();
            throw Problem.of(Problem.Kind.UNAVAILABLE, "cannot listen on " + listen + ": " + why)
                    .next("free the port, or change listen in agent.toml")
                    .exception();
        }
    }

    /** The port that was bound, also where the configuration leaves the choice to the system. */
    int port() {
        return server.getPort();
    }

    /** Takes no new calls. */
    void drain() {
        server.shutdown();
    }

    @Override
    public void close() {
        server.shutdown();
        try {
            if (!server.awaitTermination(CLOSE_GRACE_S, TimeUnit.SECONDS)) {
                server.shutdownNow();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        stop();
    }

    private void stop() {
        var _ = acceptor.shutdownGracefully(0, 1, TimeUnit.SECONDS);
        var _ = workers.shutdownGracefully(0, 1, TimeUnit.SECONDS);
        executor.shutdown();
    }
}
