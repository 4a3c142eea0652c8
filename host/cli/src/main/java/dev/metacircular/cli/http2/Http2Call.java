package dev.metacircular.cli.http2;

import dev.metacircular.contract.Bearer;
import dev.metacircular.contract.Problems;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** One call, as gRPC lays it over an HTTP/2 stream (PROTOCOL-HTTP2 of gRPC). */
final class Http2Call<Q, A> extends ClientCall<Q, A> implements Http2Connection.Listener {
    private final Http2Channel channel;
    private final MethodDescriptor<Q, A> method;
    private final CallOptions options;
    private final Serial serial;
    private final MessageReader messages = new MessageReader();

    private volatile Http2Connection.@Nullable Stream stream;
    private volatile @Nullable Thread timer;
    private volatile boolean ended;

    // Only touched by tasks of `serial`.
    private final ArrayDeque<byte[]> inbox = new ArrayDeque<>();
    private @Nullable Listener<A> listener;
    private int requested;
    private int consumedBytes;
    private boolean headersSeen;
    private @Nullable Outcome outcome;
    private boolean closed;

    private record Outcome(Status status, Metadata trailers) {}

    Http2Call(Http2Channel channel, MethodDescriptor<Q, A> method, CallOptions options) {
        this.channel = channel;
        this.method = method;
        this.options = options;
        this.serial = new Serial(options.getExecutor());
    }

    @Override
    public void start(Listener<A> responses, Metadata headers) {
        listener = responses;
        Deadline deadline = options.getDeadline();
        if (deadline != null && deadline.isExpired()) {
            expire();
            return;
        }
        try {
            boolean streams = !method.getType().clientSendsOneMessage();
            List<Header> request = Headers.request(
                    channel.authority(), method.getFullMethodName(), channel.userAgent(), deadline, headers);
            request.add(new Header(Bearer.AUTHORIZATION.name(), Bearer.header(channel.token())));
            startTimer(deadline);
            stream = channel.connection().open(request, this, streams);
            if (ended) {
                cancelStream();
            }
        } catch (IOException e) {
            failed(e, true);
        } catch (ProblemException e) {
            StatusRuntimeException status = Problems.toStatus(e.problem());
            Metadata trailers = status.getTrailers();
            end(status.getStatus().withCause(e), trailers == null ? new Metadata() : trailers);
        }
    }

    private void startTimer(@Nullable Deadline deadline) {
        if (deadline == null) {
            return;
        }
        Thread waiting = new Thread(
                () -> {
                    try {
                        Thread.sleep(Math.max(0, deadline.timeRemaining(TimeUnit.MILLISECONDS)) + 1);
                        expire();
                    } catch (InterruptedException e) {
                        // The call ended in time.
                    }
                },
                "deadline " + method.getBareMethodName());
        waiting.setDaemon(true);
        timer = waiting;
        waiting.start();
    }

    private void expire() {
        end(Status.DEADLINE_EXCEEDED.withDescription("no answer in time"), new Metadata());
        cancelStream();
    }

    private void cancelStream() {
        Http2Connection.Stream open = stream;
        if (open != null) {
            open.cancel(Http2Connection.CANCEL);
        }
    }

    @Override
    public void request(int count) {
        serial.execute(() -> {
            requested = requested + count < 0 ? Integer.MAX_VALUE : requested + count;
            pump();
        });
    }

    @Override
    public void cancel(@Nullable String message, @Nullable Throwable cause) {
        end(
                Status.CANCELLED
                        .withDescription(message == null ? "cancelled" : message)
                        .withCause(cause),
                new Metadata());
        cancelStream();
    }

    @Override
    public void halfClose() {
        if (!method.getType().clientSendsOneMessage()) {
            send(new byte[0], true);
        }
    }

    @Override
    public void sendMessage(Q message) {
        try (InputStream body = method.streamRequest(message)) {
            send(MessageReader.frame(body.readAllBytes()), method.getType().clientSendsOneMessage());
        } catch (IOException e) {
            failed(e, false);
        }
    }

    private void send(byte[] bytes, boolean end) {
        Http2Connection.Stream open = stream;
        if (open == null) {
            return;
        }
        try {
            open.send(bytes, end);
        } catch (IOException e) {
            failed(e, false);
        }
    }

    @Override
    public void headers(List<Header> received, boolean end) {
        serial.execute(() -> {
            Optional<Status> transport = headersSeen || end ? Optional.empty() : Headers.refusal(received);
            if (Headers.isInformational(received)) {
                return;
            }
            if (transport.isPresent()) {
                finish(new Outcome(transport.get(), new Metadata()));
                cancelStream();
            } else if (end) {
                finish(new Outcome(Headers.status(received), Headers.metadata(received)));
            } else if (!headersSeen) {
                headersSeen = true;
                if (!closed && listener != null) {
                    listener.onHeaders(Headers.metadata(received));
                }
            }
        });
    }

    @Override
    public void data(byte[] bytes, boolean end) {
        serial.execute(() -> {
            if (closed) {
                return;
            }
            consumedBytes += bytes.length;
            try {
                messages.add(bytes, inbox);
            } catch (IOException e) {
                finish(new Outcome(
                        Status.INTERNAL.withDescription(e.getMessage()).withCause(e), new Metadata()));
                cancelStream();
                return;
            }
            if (end) {
                finish(new Outcome(
                        Status.INTERNAL.withDescription("the node ended the call without a status"), new Metadata()));
            }
            pump();
        });
    }

    @Override
    public void failed(IOException why, boolean untouched) {
        Problem problem = new Problem(
                Problem.Kind.UNREACHABLE,
                String.valueOf(why.getMessage()),
                "node " + channel.node() + ", " + channel.authority(),
                "");
        StatusRuntimeException status = Problems.toStatus(problem);
        Metadata trailers = status.getTrailers();
        end(status.getStatus().withCause(why), trailers == null ? new Metadata() : trailers);
    }

    /** Ends the call at once, with what has arrived undelivered. */
    private void end(Status status, Metadata trailers) {
        ended = true;
        serial.execute(() -> {
            inbox.clear();
            finish(new Outcome(status, trailers));
        });
    }

    private void finish(Outcome end) {
        if (outcome == null) {
            outcome = end;
        }
        pump();
    }

    private void pump() {
        Listener<A> to = listener;
        if (closed || to == null) {
            return;
        }
        while (requested > 0 && !inbox.isEmpty()) {
            requested--;
            byte[] message = inbox.remove();
            A parsed;
            try {
                parsed = method.parseResponse(MessageReader.stream(message));
            } catch (RuntimeException e) {
                inbox.clear();
                outcome = new Outcome(
                        Status.INTERNAL
                                .withDescription("a message of the node is malformed")
                                .withCause(e),
                        new Metadata());
                cancelStream();
                break;
            }
            to.onMessage(parsed);
        }
        if (!inbox.isEmpty()) {
            return;
        }
        if (outcome != null) {
            closed = true;
            Thread waiting = timer;
            if (waiting != null) {
                waiting.interrupt();
            }
            to.onClose(outcome.status(), outcome.trailers());
            return;
        }
        Http2Connection.Stream open = stream;
        if (open != null && consumedBytes > 0) {
            open.consumed(consumedBytes);
            consumedBytes = 0;
        }
    }
}
