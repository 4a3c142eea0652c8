package dev.metacircular.contract;

import dev.metacircular.contract.v1.ErrorDetail;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.ProtoUtils;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The one mapping of a {@link Problem} to gRPC (status and trailers), back again, and to an exit status. */
public final class Problems {
    /** Where a failed call's trailers carry its {@link ErrorDetail}. */
    public static final Metadata.Key<ErrorDetail> DETAIL = Metadata.Key.of(
            "dev.metacircular.agent.v1.errordetail-bin",
            ProtoUtils.metadataMarshaller(ErrorDetail.getDefaultInstance()));

    private static final int MAX_WHAT_BYTES = 2_000;
    private static final int MAX_WHERE_BYTES = 500;
    private static final int MAX_NEXT_BYTES = 1_000;
    private static final int MAX_DESCRIPTION_BYTES = 200;

    private Problems() {}

    /** The gRPC status of each kind of problem. */
    public static Status.Code code(Problem.Kind kind) {
        return switch (kind) {
            case INVALID -> Status.Code.INVALID_ARGUMENT;
            case NOT_FOUND -> Status.Code.NOT_FOUND;
            case LOCKED, STALE_PLAN -> Status.Code.ABORTED;
            case CONFLICT -> Status.Code.FAILED_PRECONDITION;
            case UNAUTHENTICATED -> Status.Code.UNAUTHENTICATED;
            case NOT_PERMITTED -> Status.Code.PERMISSION_DENIED;
            case UNSUPPORTED -> Status.Code.UNIMPLEMENTED;
            case FAILED -> Status.Code.UNKNOWN;
            case UNAVAILABLE, UNREACHABLE -> Status.Code.UNAVAILABLE;
            case DEADLINE -> Status.Code.DEADLINE_EXCEEDED;
            case EXHAUSTED -> Status.Code.RESOURCE_EXHAUSTED;
            case INTERNAL -> Status.Code.INTERNAL;
        };
    }

    /** What a call that failed without an {@link ErrorDetail} is: it failed on the way, or in gRPC itself. */
    private static Problem.Kind kindWithoutDetail(Status.Code code) {
        return switch (code) {
            case INVALID_ARGUMENT, OUT_OF_RANGE -> Problem.Kind.INVALID;
            case NOT_FOUND -> Problem.Kind.NOT_FOUND;
            case ABORTED, FAILED_PRECONDITION, ALREADY_EXISTS -> Problem.Kind.CONFLICT;
            case UNAUTHENTICATED -> Problem.Kind.UNAUTHENTICATED;
            case PERMISSION_DENIED -> Problem.Kind.NOT_PERMITTED;
            case UNIMPLEMENTED -> Problem.Kind.UNSUPPORTED;
            case UNAVAILABLE, DEADLINE_EXCEEDED -> Problem.Kind.UNREACHABLE;
            case RESOURCE_EXHAUSTED -> Problem.Kind.EXHAUSTED;
            case CANCELLED, UNKNOWN -> Problem.Kind.FAILED;
            case OK, INTERNAL, DATA_LOSS -> Problem.Kind.INTERNAL;
        };
    }

    /** The exit status of each kind of problem, see {@link ExitStatus}. */
    public static int exitStatus(Problem.Kind kind) {
        return switch (kind) {
            case INVALID -> ExitStatus.USAGE;
            case UNREACHABLE -> ExitStatus.UNREACHABLE;
            case UNAUTHENTICATED, NOT_PERMITTED -> ExitStatus.NOT_PERMITTED;
            case NOT_FOUND,
                    LOCKED,
                    STALE_PLAN,
                    CONFLICT,
                    UNSUPPORTED,
                    FAILED,
                    UNAVAILABLE,
                    DEADLINE,
                    EXHAUSTED,
                    INTERNAL -> ExitStatus.FAILED;
        };
    }

    /** What a server closes a call with. */
    public static StatusRuntimeException toStatus(Problem problem) {
        Metadata trailers = new Metadata();
        trailers.put(DETAIL, toMessage(problem));
        return code(problem.kind())
                .toStatus()
                .withDescription(cut(problem.what(), MAX_DESCRIPTION_BYTES))
                .asRuntimeException(trailers);
    }

    public static ErrorDetail toMessage(Problem problem) {
        return ErrorDetail.newBuilder()
                .setKind(problem.kind().name())
                .setWhat(cut(problem.what(), MAX_WHAT_BYTES))
                .setWhere(cut(problem.where(), MAX_WHERE_BYTES))
                .setNext(cut(problem.next(), MAX_NEXT_BYTES))
                .build();
    }

    /** A kind that this version does not know becomes {@code FAILED}. */
    public static Problem fromMessage(ErrorDetail detail) {
        Problem.Kind kind = find(detail.getKind()).orElse(Problem.Kind.FAILED);
        return new Problem(kind, detail.getWhat(), detail.getWhere(), detail.getNext());
    }

    /** What a client makes of a failed call; trailers without a detail are told by the status alone. */
    public static Problem fromStatus(Status status, @Nullable Metadata trailers) {
        ErrorDetail detail = trailers == null ? null : trailers.get(DETAIL);
        if (detail == null) {
            String description = status.getDescription();
            return Problem.of(
                    kindWithoutDetail(status.getCode()),
                    description == null || description.isEmpty()
                            ? "the call ended with " + status.getCode()
                            : description);
        }
        return find(detail.getKind()).isPresent()
                ? fromMessage(detail)
                : new Problem(
                        kindWithoutDetail(status.getCode()), detail.getWhat(), detail.getWhere(), detail.getNext());
    }

    public static ProblemException exception(StatusRuntimeException failure) {
        return new ProblemException(fromStatus(failure.getStatus(), failure.getTrailers()), failure);
    }

    private static Optional<Problem.Kind> find(String name) {
        return Arrays.stream(Problem.Kind.values())
                .filter(k -> k.name().equals(name))
                .findFirst();
    }

    /** A call's trailers are 8 KiB at most, with the detail in base64 and the description in percent-encoding: a long text keeps its beginning. */
    private static String cut(String text, int maxBytes) {
        int bytes = 0;
        for (int i = 0; i < text.length(); ) {
            int character = text.codePointAt(i);
            bytes += character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
            if (bytes > maxBytes) {
                return text.substring(0, i) + "…";
            }
            i += Character.charCount(character);
        }
        return text;
    }
}
