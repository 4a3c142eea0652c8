package dev.metacircular.agent;

import com.google.protobuf.Message;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.DeployUpdate;
import dev.metacircular.model.Problem;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A call under way, which ends when its token is revoked: its caller gets {@code UNAUTHENTICATED} and nothing more, and to what serves it
 * the caller has gone.
 */
final class GuardedCall<Q, R> extends SimpleForwardingServerCall<Q, R> implements OpenCalls.Open {
    private final AuditedCall audited;
    private final Runnable whenClosed;
    private final AtomicBoolean gone = new AtomicBoolean();
    private volatile boolean revoked;
    private boolean closed;
    private ServerCall.@Nullable Listener<Q> server;

    GuardedCall(ServerCall<Q, R> call, AuditedCall audited, OpenCalls.Registration registration) {
        super(call);
        this.audited = audited;
        this.whenClosed = registration.add(this);
    }

    @Override
    public synchronized void sendHeaders(Metadata headers) {
        if (!revoked) {
            super.sendHeaders(headers);
        }
    }

    @Override
    public synchronized void sendMessage(R message) {
        if (message instanceof DeployUpdate update
                && update.hasResult()
                && !update.getResult().getOk()) {
            audited.fails(update.getResult().getError().getKind());
        }
        if (!revoked) {
            super.sendMessage(message);
        }
    }

    @Override
    public synchronized void close(Status status, Metadata trailers) {
        audited.end(
                status.isOk()
                        ? "ok"
                        : Problems.fromStatus(status, trailers).kind().name());
        closed = true;
        whenClosed.run();
        if (!revoked) {
            super.close(status, trailers);
        }
    }

    @Override
    public boolean isReady() {
        return !revoked && super.isReady();
    }

    @Override
    public boolean isCancelled() {
        return revoked || super.isCancelled();
    }

    @Override
    public void revoke() {
        synchronized (this) {
            if (revoked || closed) {
                return;
            }
            revoked = true;
            StatusRuntimeException failure =
                    Problems.toStatus(Problem.of(Problem.Kind.UNAUTHENTICATED, "the token has been revoked")
                            .next("ask the node's operator for a token: mcp token add --node NODE NAME"));
            super.close(failure.getStatus(), Objects.requireNonNullElseGet(failure.getTrailers(), Metadata::new));
        }
        whenClosed.run();
        leave(Problem.Kind.UNAUTHENTICATED.name());
    }

    private void leave(String outcome) {
        ServerCall.Listener<Q> listener;
        synchronized (this) {
            listener = server;
        }
        if (listener != null && gone.compareAndSet(false, true)) {
            audited.left(outcome);
            listener.onCancel();
        }
    }

    /** What hears of the caller's doings on behalf of the call's server. */
    ServerCall.Listener<Q> listener(ServerCall.Listener<Q> listener) {
        synchronized (this) {
            server = listener;
        }
        if (revoked) {
            leave(Problem.Kind.UNAUTHENTICATED.name());
        }
        return new SimpleForwardingServerCallListener<>(listener) {
            @Override
            public void onMessage(Q message) {
                if (revoked) {
                    return;
                }
                if (message instanceof Message request) {
                    audited.sees(request);
                }
                super.onMessage(message);
            }

            @Override
            public void onHalfClose() {
                if (!revoked) {
                    audited.handed();
                    super.onHalfClose();
                }
            }

            @Override
            public void onReady() {
                if (!revoked) {
                    super.onReady();
                }
            }

            @Override
            public void onCancel() {
                whenClosed.run();
                // What is no request ends in the same way, and the caller is still there.
                leave(GuardedCall.super.isCancelled() ? "cancelled" : Problem.Kind.INVALID.name());
            }
        };
    }
}
