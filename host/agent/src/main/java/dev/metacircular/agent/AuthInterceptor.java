package dev.metacircular.agent;

import dev.metacircular.contract.Bearer;
import dev.metacircular.contract.MeantNode;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.StatusRuntimeException;
import java.time.Clock;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * Lets a call pass if its bearer token is good, it is meant for this node and its role allows the method, and audits every call. A call
 * that lasts ends when its token is revoked.
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

    /** What only an operator may call, and changes nothing either. */
    private static final Set<String> OPERATORS_READS = Set.of(
            AgentGrpc.getPullMethod().getFullMethodName(),
            AgentGrpc.getListSecretsMethod().getFullMethodName(),
            AgentGrpc.getListSnapshotsMethod().getFullMethodName(),
            AgentGrpc.getReadSnapshotMethod().getFullMethodName(),
            AgentGrpc.getListTokensMethod().getFullMethodName());

    private final Name node;
    private final Tokens tokens;
    private final AuditLog audit;
    private final Clock clock;
    private final OpenCalls open = new OpenCalls();

    AuthInterceptor(Name node, Tokens tokens, AuditLog audit, Clock clock) {
        this.node = node;
        this.tokens = tokens;
        this.audit = audit;
        this.clock = clock;
        tokens.whenRevoked(open::revoke);
    }

    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
            ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
        String method = call.getMethodDescriptor().getFullMethodName();
        Optional<Caller> caller = Bearer.token(headers).flatMap(tokens::find);
        boolean changes = !READS.contains(method) && !OPERATORS_READS.contains(method);
        AuditedCall audited = new AuditedCall(audit, call, caller, changes, clock);
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
        // What is over in a moment needs no end: the call that revokes its own token among it.
        boolean lasts = call.getMethodDescriptor().getType() != MethodType.UNARY;
        GuardedCall<Q, R> guarded =
                new GuardedCall<>(call, audited, lasts ? open.of(caller.get().token()) : OpenCalls.Registration.NONE);
        Context context = Context.current().withValue(Caller.KEY, caller.get());
        ServerCall.Listener<Q> listener = guarded.listener(Contexts.interceptCall(context, guarded, headers, next));
        if (lasts && Bearer.token(headers).flatMap(tokens::find).isEmpty()) {
            guarded.revoke();
        }
        return listener;
    }

    private static <Q, R> ServerCall.Listener<Q> refuse(ServerCall<Q, R> call, AuditedCall audited, Problem problem) {
        audited.end(problem.kind().name());
        StatusRuntimeException failure = Problems.toStatus(problem);
        call.close(failure.getStatus(), Objects.requireNonNullElseGet(failure.getTrailers(), Metadata::new));
        return new ServerCall.Listener<>() {};
    }
}
