package dev.metacircular.agent;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.metacircular.contract.v1.AgentGrpc;
import io.grpc.Grpc;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/** Gathers what is audited of one call, and writes it: where it changes something also at its beginning. */
final class AuditedCall {
    private final AuditLog audit;
    private final MethodDescriptor<?, ?> method;
    private final Optional<Caller> caller;
    private final boolean changes;
    private final String peer;
    private final Instant time;
    private final long start = System.nanoTime();
    private final AtomicBoolean ended = new AtomicBoolean();
    private boolean seen;
    private volatile boolean handed;
    private volatile String target = "";
    private volatile String key = "";
    private volatile String failure = "";

    /** @param changes whether the method may change something */
    AuditedCall(AuditLog audit, ServerCall<?, ?> call, Optional<Caller> caller, boolean changes, Clock clock) {
        this.audit = audit;
        this.method = call.getMethodDescriptor();
        this.caller = caller;
        this.changes = changes;
        this.time = clock.instant();
        this.peer = String.valueOf(call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR))
                .replaceFirst("^/", "");
    }

    /** Takes target and key from a stream's first message, or the only one. */
    void sees(Message request) {
        if (seen) {
            return;
        }
        seen = true;
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
        if (changes) {
            write(AuditLog.BEGUN);
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

    /** What does it has all that it needs. */
    void handed() {
        handed = true;
    }

    /** Its caller is gone or was cut off. What goes on without a caller is audited at its own end, with what came of it. */
    void left(String outcome) {
        boolean goesOn = method.getType() == MethodType.UNARY
                || method.getFullMethodName().equals(AgentGrpc.getDeployMethod().getFullMethodName());
        if (!handed || !goesOn) {
            end(outcome);
        }
    }

    void end(String outcome) {
        if (ended.compareAndSet(false, true)) {
            write(outcome.equals("ok") && !failure.isEmpty() ? failure : outcome);
        }
    }

    private void write(String outcome) {
        audit.write(new AuditLog.Entry(
                time,
                caller.map(Caller::token).orElse(""),
                caller.map(c -> c.role().toString()).orElse(""),
                peer,
                Objects.requireNonNullElse(method.getBareMethodName(), method.getFullMethodName()),
                target,
                outcome,
                Duration.ofNanos(outcome.equals(AuditLog.BEGUN) ? 0 : System.nanoTime() - start),
                key));
    }
}
