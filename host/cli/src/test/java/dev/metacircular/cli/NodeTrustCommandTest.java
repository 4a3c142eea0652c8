package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.CollectImagesRequest;
import dev.metacircular.contract.v1.CollectImagesResponse;
import dev.metacircular.contract.v1.CollectedImage;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A node whose authority was made anew; and what is cleaned on one. */
@Timeout(60)
class NodeTrustCommandTest {
    @TempDir
    private Path scratch;

    private final TestCertificates before = new TestCertificates("Ed25519");
    private Operator operator;

    @BeforeEach
    void start() {
        operator = new Operator(scratch.resolve("operator"));
        operator.node("alpha", operator.agent(new ScriptedAgent()), before, TestAgent.TOKEN);
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    @Test
    void bothFingerprintsAreShownAndTheNewAuthorityIsTakenWhenConfirmed() {
        assertThat(operator.mcp("ps").exit()).isEqualTo(3);
        operator.interactive();

        Operator.Result no = operator.types("no\n").mcp("node", "trust", "alpha");
        assertThat(no.exit()).isEqualTo(1);
        assertThat(no.out()).contains(before.fingerprint(), Operator.AUTHORITY.fingerprint());
        assertThat(operator.mcp("ps").exit()).isEqualTo(3);

        Operator.Result yes = operator.types("yes\n").mcp("node", "trust", "alpha");
        assertThat(yes.exit()).as(yes.all()).isZero();
        assertThat(operator.mcp("ps").exit()).isZero();
        assertThat(operator.mcp("node", "trust", "alpha").out()).contains("they are the same");
    }

    @Test
    void withoutATerminalTheFingerprintMustBeGivenAndRight() {
        Operator.Result unasked = operator.mcp("node", "trust", "alpha");
        assertThat(unasked.exit()).isEqualTo(2);
        assertThat(unasked.err()).contains("--fingerprint " + Operator.AUTHORITY.fingerprint());

        Operator.Result wrong = operator.mcp("node", "trust", "alpha", "--fingerprint", before.fingerprint());
        assertThat(wrong.exit()).isEqualTo(1);
        assertThat(operator.mcp("ps").exit()).isEqualTo(3);

        Operator.Result right = operator.mcp(
                "node",
                "trust",
                "alpha",
                "--json",
                "--fingerprint",
                Operator.AUTHORITY.fingerprint().toLowerCase(java.util.Locale.ROOT));
        assertThat(right.out())
                .isEqualTo("{\"result\":\"ok\",\"node\":\"alpha\",\"known_sha256\":\"" + before.fingerprint()
                        + "\",\"new_sha256\":\"" + Operator.AUTHORITY.fingerprint() + "\",\"changed\":true}\n");
        assertThat(operator.mcp("ps").exit()).isZero();
    }

    @Test
    void theGivenFingerprintMustBeRightAlsoWhereTheAuthorityIsTheKnownOne() {
        operator.node("beta", new ScriptedAgent());

        Operator.Result wrong = operator.mcp("node", "trust", "beta", "--fingerprint", before.fingerprint());
        assertThat(wrong.exit()).isEqualTo(1);
        assertThat(wrong.out()).doesNotContain("nothing to do");
        assertThat(wrong.err()).contains("another fingerprint", "  next: ");

        for (String none : new String[] {"00", "zz", before.fingerprint() + "00"}) {
            Operator.Result odd = operator.mcp("node", "trust", "beta", "--fingerprint", none);
            assertThat(odd.exit()).as(none).isEqualTo(2);
            assertThat(odd.err()).contains("'" + none + "' is no SHA-256 fingerprint", "64 hexadecimal digits");
        }

        Operator.Result right = operator.mcp(
                "node",
                "trust",
                "beta",
                "--fingerprint",
                Operator.AUTHORITY.fingerprint().replace(":", ""));
        assertThat(right.exit()).isZero();
        assertThat(right.out()).contains("they are the same: nothing to do");
    }

    @Test
    void anAuthorityByWhichTheNodeDoesNotAnswerIsNotTaken() {
        Path other = new TestCertificates("Ed25519").writeCa(scratch.resolve("other.pem"));
        operator.interactive();
        Operator.Result result = operator.types("yes\n").mcp("node", "trust", "alpha", "--ca", other.toString());
        assertThat(result.exit()).isEqualTo(3);
        Operator.Result good = operator.types("yes\n")
                .mcp(
                        "node",
                        "trust",
                        "alpha",
                        "--ca",
                        Operator.AUTHORITY.writeCa(scratch.resolve("good.pem")).toString());
        assertThat(good.exit()).as(good.all()).isZero();
    }

    @Test
    void whatIsCleanedIsListed() {
        operator.node("beta", new ScriptedAgent() {
            @Override
            public void collectImages(CollectImagesRequest request, StreamObserver<CollectImagesResponse> response) {
                response.onNext(CollectImagesResponse.newBuilder()
                        .addImages(CollectedImage.newBuilder()
                                .setImage("0123456789abcdef")
                                .addNames(request.getDryRun() ? "dry" : "done")
                                .setSizeBytes(1 << 20))
                        .build());
                response.onCompleted();
            }
        });
        assertThat(operator.mcp("node", "clean", "beta", "--dry-run").out())
                .contains("would remove", "0123456789ab ", "dry", "1.0 MiB");
        assertThat(operator.mcp("node", "clean", "beta", "--json").out())
                .isEqualTo("{\"result\":\"ok\",\"node\":\"beta\",\"images\":[{\"image\":\"0123456789abcdef\","
                        + "\"names\":[\"done\"],\"size_bytes\":1048576}]}\n");
    }
}
