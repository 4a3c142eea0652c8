package dev.metacircular.agent;

import dev.metacircular.contract.Bearer;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.definition.AgentConfig;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A whole agent with its server on a loopback port, on a runtime in memory, and clients of it. */
final class Remote implements AutoCloseable {
    private static final int WAIT_S = 20;

    final dev.metacircular.runtime.FakeRuntime fake = new dev.metacircular.runtime.FakeRuntime(TestNode.NODE);
    final Path directory;
    final String token;
    Agent agent;
    private @Nullable ManagedChannel channel;

    private final FileProcess.Starter files;

    Remote(Path scratch) throws IOException {
        this(scratch, FileProcess::inUserNamespace);
    }

    /** @param files starts the helper that reads and writes services' files */
    Remote(Path scratch, FileProcess.Starter files) throws IOException {
        this.files = files;
        directory = scratch.resolve("agent");
        copy(Template.DIRECTORY, directory);
        token = Template.TOKEN;
        agent = start();
    }

    /** One initialised directory for all tests of this process: making keys takes long. */
    private static final class Template {
        static final Path DIRECTORY;
        static final String TOKEN;

        static {
            try {
                Path scratch = Files.createTempDirectory("agent-template-");
                DIRECTORY = scratch.resolve("agent");
                TOKEN = new Initialisation(
                                DIRECTORY,
                                TestNode.NODE,
                                dev.metacircular.definition.Address.parse("127.0.0.1:0"),
                                Optional.of(scratch.resolve("services")),
                                Optional.empty(),
                                false,
                                List.of(),
                                Optional.empty(),
                                false)
                        .perform(Clock.systemUTC())
                        .token()
                        .orElseThrow();
                Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(scratch)));
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }

        private Template() {}

        private static void delete(Path tree) {
            try (Stream<Path> all = Files.walk(tree)) {
                all.sorted(java.util.Comparator.reverseOrder())
                        .forEach(p -> p.toFile().delete());
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> all = Files.walk(from)) {
            for (Path p : all.toList()) {
                Files.copy(p, to.resolve(from.relativize(p)));
            }
        }
    }

    private Agent start() throws IOException {
        Agent.Backends backends = new Agent.Backends() {
            @Override
            public Made make(Path directory, AgentConfig config) {
                return new Made(new Runtimes(List.of(fake)), () -> {}, directory.resolve("no.sock"));
            }

            @Override
            public FileProcess.Starter files() {
                return files;
            }
        };
        return Agent.start(directory, backends, Clock.systemUTC());
    }

    void restart() throws IOException {
        restartAfter(() -> {});
    }

    /** Something that happens to an agent's directory. */
    interface Between {
        void happens() throws IOException;
    }

    void restartAfter(Between between) throws IOException {
        disconnect();
        agent.close();
        between.happens();
        agent = start();
    }

    Channel as(@Nullable String bearer) throws IOException {
        if (channel == null) {
            channel = connect(directory.resolve("ca.pem"));
        }
        ManagedChannel open = channel;
        if (bearer == null) {
            return open;
        }
        Metadata headers = new Metadata();
        headers.put(Bearer.AUTHORIZATION, Bearer.header(bearer));
        return ClientInterceptors.intercept(open, MetadataUtils.newAttachHeadersInterceptor(headers));
    }

    /** @param ca whom to trust; none for what the platform trusts */
    ManagedChannel connect(@Nullable Path ca) throws IOException {
        SslContextBuilder tls = GrpcSslContexts.configure(SslContextBuilder.forClient(), SslProvider.JDK);
        if (ca != null) {
            tls.trustManager(ca.toFile());
        }
        return NettyChannelBuilder.forAddress("127.0.0.1", agent.address().port())
                .sslContext(tls.build())
                .build();
    }

    AgentGrpc.AgentBlockingStub blocking() throws IOException {
        return AgentGrpc.newBlockingStub(as(token)).withDeadlineAfter(WAIT_S, TimeUnit.SECONDS);
    }

    /** Calls any method with an empty request and returns how it ended. */
    static <Q, R> Status call(Channel channel, MethodDescriptor<Q, R> method)
            throws InterruptedException, TimeoutException {
        CompletableFuture<Status> end = new CompletableFuture<>();
        StreamObserver<R> observer = new StreamObserver<>() {
            @Override
            public void onNext(R value) {}

            @Override
            public void onError(Throwable failure) {
                end.complete(
                        failure instanceof StatusRuntimeException s ? s.getStatus() : Status.fromThrowable(failure));
            }

            @Override
            public void onCompleted() {
                end.complete(Status.OK);
            }
        };
        Q request = ((PrototypeMarshaller<Q>) method.getRequestMarshaller()).getMessagePrototype();
        var call = channel.newCall(method, CallOptions.DEFAULT.withDeadlineAfter(WAIT_S, TimeUnit.SECONDS));
        if (method.getType().clientSendsOneMessage()) {
            ClientCalls.asyncServerStreamingCall(call, Objects.requireNonNull(request), observer);
        } else {
            StreamObserver<Q> requests = ClientCalls.asyncBidiStreamingCall(call, observer);
            requests.onNext(Objects.requireNonNull(request));
            requests.onCompleted();
        }
        try {
            return end.get(WAIT_S, TimeUnit.SECONDS);
        } catch (java.util.concurrent.ExecutionException e) {
            throw new AssertionError(e);
        }
    }

    List<String> audit() throws IOException {
        return Files.readAllLines(directory.resolve(AuditLog.FILE));
    }

    /** The calls without a good token. */
    List<String> refused() throws IOException {
        return Files.readAllLines(directory.resolve(AuditLog.REFUSED_FILE));
    }

    /** Every file of the agent's that holds the text. */
    List<Path> filesWith(String text) throws IOException {
        byte[] wanted = text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
        try (Stream<Path> all = Files.walk(directory)) {
            return all.filter(Files::isRegularFile)
                    .filter(f -> contains(f, wanted))
                    .toList();
        }
    }

    private static boolean contains(Path file, byte[] wanted) {
        try {
            String content = Files.readString(file, java.nio.charset.StandardCharsets.ISO_8859_1);
            return content.contains(new String(wanted, java.nio.charset.StandardCharsets.ISO_8859_1));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private void disconnect() {
        if (channel != null) {
            channel.shutdownNow();
            channel = null;
        }
    }

    @Override
    public void close() {
        disconnect();
        agent.close();
        fake.close();
    }
}
