package dev.metacircular.agent;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A call of any method with any bytes as its messages. */
final class RawCall {
    private static final long WAIT_S = 60;

    /** What the caller does after its messages. */
    enum Ending {
        HALF_CLOSE,
        CANCEL,
        /** Nothing: it waits until its deadline. */
        SILENCE
    }

    record End(Status status, Metadata trailers, int answers) {}

    private RawCall() {}

    private enum Bytes implements MethodDescriptor.Marshaller<byte[]> {
        INSTANCE;

        @Override
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    static End make(
            Channel channel, MethodDescriptor<?, ?> method, List<byte[]> messages, Ending ending, Duration deadline)
            throws InterruptedException, TimeoutException {
        MethodDescriptor<byte[], byte[]> raw =
                method.toBuilder(Bytes.INSTANCE, Bytes.INSTANCE).build();
        ClientCall<byte[], byte[]> call =
                channel.newCall(raw, CallOptions.DEFAULT.withDeadlineAfter(deadline.toMillis(), TimeUnit.MILLISECONDS));
        Listener listener = new Listener();
        call.start(listener, new Metadata());
        call.request(Integer.MAX_VALUE);
        for (byte[] message : messages) {
            call.sendMessage(message);
        }
        switch (ending) {
            case HALF_CLOSE -> call.halfClose();
            case CANCEL -> call.cancel("the caller has had enough", null);
            case SILENCE -> {}
        }
        try {
            return listener.end.get(WAIT_S, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new AssertionError(e);
        }
    }

    private static final class Listener extends ClientCall.Listener<byte[]> {
        final CompletableFuture<End> end = new CompletableFuture<>();
        private int answers;

        @Override
        public void onMessage(byte[] message) {
            answers++;
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            end.complete(new End(status, trailers, answers));
        }
    }
}
