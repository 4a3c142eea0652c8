package dev.metacircular.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.ErrorDetail;
import dev.metacircular.model.Problem;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ProblemsTest {
    @ParameterizedTest
    @EnumSource(Problem.Kind.class)
    void everyProblemSurvivesTheWire(Problem.Kind kind) {
        Problem problem = new Problem(kind, "what – it", "shop/web", "do this");
        StatusRuntimeException status = Problems.toStatus(problem);

        assertThat(Problems.fromStatus(status.getStatus(), status.getTrailers()))
                .isEqualTo(problem);
        assertThat(Problems.exception(status).problem()).isEqualTo(problem);
        assertThat(status.getStatus().isOk()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "INVALID,2", "NOT_FOUND,1", "LOCKED,1", "STALE_PLAN,1", "CONFLICT,1", "UNAUTHENTICATED,4", "NOT_PERMITTED,4",
        "UNSUPPORTED,1", "FAILED,1", "UNAVAILABLE,1", "UNREACHABLE,3", "DEADLINE,1", "EXHAUSTED,1", "INTERNAL,1"
    })
    void exitStatusesAreAsDocumented(Problem.Kind kind, int expected) {
        assertThat(Problems.exitStatus(kind)).isEqualTo(expected);
    }

    @Test
    void aFailureWithoutDetailIsToldByItsStatus() {
        assertThat(Problems.fromStatus(Status.UNAVAILABLE.withDescription("connection refused"), null))
                .isEqualTo(Problem.of(Problem.Kind.UNREACHABLE, "connection refused"));
        assertThat(Problems.fromStatus(Status.PERMISSION_DENIED, new Metadata()).what())
                .isEqualTo("the call ended with PERMISSION_DENIED");
    }

    @Test
    void aKindOfANewerAgentFallsBackToItsStatus() {
        Metadata trailers = new Metadata();
        trailers.put(
                Problems.DETAIL,
                ErrorDetail.newBuilder().setKind("NEWER").setWhat("w").build());

        assertThat(Problems.fromStatus(Status.NOT_FOUND, trailers)).isEqualTo(Problem.of(Problem.Kind.NOT_FOUND, "w"));
    }

    @Test
    void aLongTextIsCutSoThatTheTrailersStayBounded() {
        Problem problem =
                new Problem(Problem.Kind.FAILED, "x".repeat(100_000), "y".repeat(100_000), "z".repeat(100_000));

        assertThat(Problems.toMessage(problem).getSerializedSize()).isLessThan(4_000);
    }
}
