package dev.metacircular.agent;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.metacircular.contract.Bearer;
import dev.metacircular.contract.MeantNode;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.DeployUpdate;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Lets a call pass if its bearer token is good, it is meant for this node and its role allows the method, and audits every call at its
 * end.
 */
final class AuthInterceptor implements ServerInterceptor {
    /** What a viewer may call; everything else, also what a later version adds, is an operator's. */
    private static final Set<String> READS = Set.of(
            AgentGrpc.getHelloMethod().getFullMethodName(),
            AgentGrpc.getEventsMethod().getFullMethodName(),
            AgentGrpc.getListMethod().getFullMethodName(),
            AgentGrpc.getPsMethod().getFullMethodName(),
            AgentGrpc.getStatusMethod().getFullMethodName(),
            AgentGrpc.getShowNodeMethod().getFullMethodName(),
            AgentGrpc.getLogsMethod().getFullMethodName(),
            AgentGrpc.getDoctorMethod().getFullMethodName(),
            AgentGrpc.getPlanMethod().getFullMethodName());

    private final Name node;
    private final Tokens tokens;
    private final AuditLog audit;
    private final Clock clock;

    AuthInterceptor(Name node, Tokens tokens, AuditLog audit, Clock clock) {
        this.node = node;
        this.tokens = tokens;
        this.audit = audit;
        this.clock = clock;
    }

    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
            ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
        String method = call.getMethodDescriptor().getFullMethodName();
        Optional<Caller> caller = Bearer.token(headers).flatMap(tokens::find);
        Audited audited = new Audited(call, caller);
        if (caller.isEmpty()) {
            return refuse(
                    call,
                    audited,
                    Problem.of(Problem.Kind.UNAUTHENTICATED, "the token is missing, wrong or revoked")
                            .next("ask the node's operator for a token: mcp token add --node NODE NAME"));
        }
        Optional<String> meant = MeantNode.in(headers);
        if (meant.isPresent() && !meant.get().equals(node.value())) {
            return refuse(
                    call,
                    audited,
                    Problem.of(Problem.Kind.UNREACHABLE, "the agent there is of node '" + node + "'")
                            .next("mcp node remove the wrong name, and mcp node add " + node));
        }
        if (caller.get().role() != Role.OPERATOR && !READS.contains(method)) {
            return refuse(
                    call,
                    audited,
                    Problem.of(
                                    Problem.Kind.NOT_PERMITTED,
                                    "the token '" + caller.get().token() + "' is a viewer's and may only read")
                            .next("use an operator's token"));
        }
        ServerCall<Q, R> observed = new SimpleForwardingServerCall<>(call) {
            @Override
            public void sendMessage(R message) {
                if (message instanceof DeployUpdate update
                        && update.hasResult()
                        && !update.getResult().getOk()) {
                    audited.fails(update.getResult().getError().getKind());
                }
                super.sendMessage(message);
            }

            @Override
            public void close(Status status, Metadata trailers) {
                audited.end(outcome(status, trailers));
                super.close(status, trailers);
            }
        };
        Context context = Context.current().withValue(Caller.KEY, caller.get());
        ServerCall.Listener<Q> listener = Contexts.interceptCall(context, observed, headers, next);
        return new SimpleForwardingServerCallListener<>(listener) {
            @Override
            public void onMessage(Q message) {
                if (message instanceof Message request) {
                    audited.sees(request);
                }
                super.onMessage(message);
            }

            @Override
            public void onCancel() {
                // What is no request ends in the same way, and the caller is still there.
                audited.end(call.isCancelled() ? "cancelled" : Problem.Kind.INVALID.name());
                super.onCancel();
            }
        };
    }

    private static <Q, R> ServerCall.Listener<Q> refuse(ServerCall<Q, R> call, Audited audited, Problem problem) {
        audited.end(problem.kind().name());
        StatusRuntimeException failure = Problems.toStatus(problem);
        call.close(failure.getStatus(), Objects.requireNonNullElseGet(failure.getTrailers(), Metadata::new));
        return new ServerCall.Listener<>() {};
    }

    private static String outcome(Status status, Metadata trailers) {
        if (status.isOk()) {
            return "ok";
        }
        return Problems.fromStatus(status, trailers).kind().name();
    }

    /** Gathers what is audited of one call. */
    private final class Audited {
        private final MethodDescriptor<?, ?> method;
        private final Optional<Caller> caller;
        private final String peer;
        private final Instant time = clock.instant();
        private final long start = System.nanoTime();
        private final AtomicBoolean ended = new AtomicBoolean();
        private volatile String target = "";
        private volatile String key = "";
        private volatile String failure = "";

        Audited(ServerCall<?, ?> call, Optional<Caller> caller) {
            this.method = call.getMethodDescriptor();
            this.caller = caller;
            this.peer = String.valueOf(call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR))
                    .replaceFirst("^/", "");
        }

        /** Takes target and key from a stream's first message, or the only one. */
        void sees(Message request) {
            if (target.isEmpty() && key.isEmpty()) {
                Message subject = text(request, "start")
                        .filter(Message.class::isInstance)
                        .map(Message.class::cast)
                        .orElse(request);
                String component = string(subject, "component");
                String service = string(subject, "service");
                String named = string(subject, "name");
                String name = service.isEmpty() ? named : named.isEmpty() ? service : service + " " + named;
                String path = string(subject, "path");
                target = path.isEmpty() ? component.isEmpty() ? name : name + "/" + component : name + ":" + path;
                key = string(subject, "idempotency_key");
            }
        }

        private String string(Message message, String field) {
            return text(message, field)
                    .map(v -> v instanceof Message nested ? string(nested, "name") : v.toString())
                    .orElse("");
        }

        private Optional<Object> text(Message message, String field) {
            FieldDescriptor descriptor = message.getDescriptorForType().findFieldByName(field);
            return descriptor == null || (descriptor.hasPresence() && !message.hasField(descriptor))
                    ? Optional.empty()
                    : Optional.of(message.getField(descriptor));
        }

        /** The call is to end well, and tells that what it was for has failed. */
        void fails(String kind) {
            failure = kind;
        }

        void end(String outcome) {
            if (ended.compareAndSet(false, true)) {
                audit.write(new AuditLog.Entry(
                        time,
                        caller.map(Caller::token).orElse(""),
                        caller.map(c -> c.role().toString()).orElse(""),
                        peer,
                        Objects.requireNonNullElse(method.getBareMethodName(), method.getFullMethodName()),
                        target,
                        outcome.equals("ok") && !failure.isEmpty() ? failure : outcome,
                        Duration.ofNanos(System.nanoTime() - start),
                        key));
            }
        }
    }
}
