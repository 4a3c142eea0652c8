package dev.metacircular.agent;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.metacircular.contract.Problems;
import dev.metacircular.model.Problem;
import io.grpc.BindableService;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Objects;

/**
 * Refuses what is no request of its method as {@code INVALID}: bytes that are no such message, or another number of messages than the method takes.
 * gRPC by itself takes the first for a fault of the server's and writes a stack trace, and closes the second as {@code INTERNAL}.
 */
final class RequestForm {
    private RequestForm() {}

    /** @param auth sees every call, and the end of every one */
    static ServerServiceDefinition guard(BindableService service, ServerInterceptor auth) {
        ServerServiceDefinition counted = ServerInterceptors.intercept(service, new Counted());
        return ServerInterceptors.intercept(
                ServerInterceptors.useInputStreamMessages(ServerInterceptors.intercept(counted, auth)), new Parsed());
    }

    private static StatusRuntimeException invalid(String what) {
        return Problems.toStatus(Problem.of(Problem.Kind.INVALID, what)
                .next("use a client of this agent's interface (mcp --version, mcp node show)"));
    }

    private static Metadata trailers(StatusRuntimeException failure) {
        return Objects.requireNonNullElseGet(failure.getTrailers(), Metadata::new);
    }

    /** Only gRPC itself ends a call as {@code INTERNAL} without a detail. */
    private static final class Counted implements ServerInterceptor {
        @Override
        public <Q, R> ServerCall.Listener<Q> interceptCall(
                ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
            return next.startCall(
                    new SimpleForwardingServerCall<>(call) {
                        @Override
                        public void close(Status status, Metadata trailers) {
                            if (status.getCode() == Status.Code.INTERNAL && !trailers.containsKey(Problems.DETAIL)) {
                                StatusRuntimeException failure =
                                        invalid("the call does not have the messages that its method takes: "
                                                + status.getDescription());
                                super.close(failure.getStatus(), trailers(failure));
                            } else {
                                super.close(status, trailers);
                            }
                        }
                    },
                    headers);
        }
    }

    /** Parsing happens inside the listener that this one calls. */
    private static final class Parsed implements ServerInterceptor {
        @Override
        public <Q, R> ServerCall.Listener<Q> interceptCall(
                ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
            return new SimpleForwardingServerCallListener<>(next.startCall(call, headers)) {
                private boolean refused;

                @Override
                public void onMessage(Q message) {
                    if (refused) {
                        return;
                    }
                    try {
                        super.onMessage(message);
                    } catch (StatusRuntimeException e) {
                        if (!(e.getCause() instanceof InvalidProtocolBufferException)) {
                            throw e;
                        }
                        refused = true;
                        StatusRuntimeException failure =
                                invalid("what was sent is not a message that this method takes");
                        call.close(failure.getStatus(), trailers(failure));
                        // What the call has begun is to end, as it does when the caller goes away.
                        super.onCancel();
                    }
                }

                @Override
                public void onHalfClose() {
                    if (!refused) {
                        super.onHalfClose();
                    }
                }

                @Override
                public void onComplete() {
                    if (!refused) {
                        super.onComplete();
                    }
                }

                @Override
                public void onCancel() {
                    if (!refused) {
                        super.onCancel();
                    }
                }
            };
        }
    }
}
