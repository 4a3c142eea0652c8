package dev.metacircular.cli;

import dev.metacircular.contract.Bearer;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.model.Problem;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyServerBuilder;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Optional;

/** A real gRPC server over TLS, as the agent's is, with the answers of a test. */
public final class TestAgent implements AutoCloseable {
    public static final String TOKEN = "correct-horse-battery-staple";

    private final Server server;

    public TestAgent(TestCertificates.Issued identity, AgentGrpc.AgentImplBase answers) {
        try {
            server = NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                    .sslContext(GrpcSslContexts.configure(
                                    SslContextBuilder.forServer(
                                            identity.key(), identity.certificate(), identity.authority()),
                                    SslProvider.JDK)
                            .build())
                    .intercept(new TokenCheck())
                    .addService(answers)
                    .build()
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public int port() {
        return server.getPort();
    }

    @Override
    public void close() {
        server.shutdownNow();
    }

    private static final class TokenCheck implements ServerInterceptor {
        @Override
        public <Q, A> ServerCall.Listener<Q> interceptCall(
                ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
            if (Bearer.token(headers).equals(Optional.of(TOKEN))) {
                return next.startCall(call, headers);
            }
            StatusRuntimeException refusal =
                    Problems.toStatus(Problem.of(Problem.Kind.UNAUTHENTICATED, "the token is not known")
                            .next("ask for a new one"));
            Metadata trailers = refusal.getTrailers();
            call.close(refusal.getStatus(), trailers == null ? new Metadata() : trailers);
            return new ServerCall.Listener<>() {};
        }
    }
}
