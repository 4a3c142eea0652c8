package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.ListSnapshotsRequest;
import dev.metacircular.contract.v1.ListSnapshotsResponse;
import dev.metacircular.contract.v1.ReadSnapshotRequest;
import dev.metacircular.contract.v1.RegistryFacts;
import dev.metacircular.contract.v1.RegistryLoss;
import dev.metacircular.contract.v1.RestoreRequest;
import dev.metacircular.contract.v1.RestoreResponse;
import dev.metacircular.contract.v1.RestoredService;
import dev.metacircular.contract.v1.ShowNodeRequest;
import dev.metacircular.contract.v1.ShowNodeResponse;
import dev.metacircular.contract.v1.Snapshot;
import dev.metacircular.contract.v1.SnapshotPart;
import dev.metacircular.contract.v1.TakeSnapshotRequest;
import dev.metacircular.contract.v1.UploadSnapshotRequest;
import dev.metacircular.contract.v1.UploadSnapshotResponse;
import dev.metacircular.model.Problem;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class BackupCommandsTest {
    private static final byte[] CONTENT = new byte[(5 << 19) + 7];

    static {
        new Random(1).nextBytes(CONTENT);
    }

    @TempDir
    private Path scratch;

    private Operator operator;

    @BeforeEach
    void start() {
        operator = new Operator(scratch.resolve("operator"));
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    /** Has one snapshot, and keeps what is uploaded. */
    private static final class Keeper extends ScriptedAgent {
        private static final Snapshot SNAPSHOT = Snapshot.newBuilder()
                .setName("registry-1.db")
                .setTakenAtMs(1_000)
                .setSizeBytes(CONTENT.length)
                .build();

        private final ByteArrayOutputStream uploaded = new ByteArrayOutputStream();
        private int restores;

        @Override
        public void listSnapshots(ListSnapshotsRequest request, StreamObserver<ListSnapshotsResponse> response) {
            response.onNext(
                    ListSnapshotsResponse.newBuilder().addSnapshots(SNAPSHOT).build());
            response.onCompleted();
        }

        @Override
        public void takeSnapshot(TakeSnapshotRequest request, StreamObserver<Snapshot> response) {
            response.onNext(SNAPSHOT);
            response.onCompleted();
        }

        @Override
        public void readSnapshot(ReadSnapshotRequest request, StreamObserver<SnapshotPart> response) {
            int offset = (int) request.getOffset();
            response.onNext(SnapshotPart.newBuilder()
                    .setData(ByteString.copyFrom(CONTENT, offset, Math.min(1 << 20, CONTENT.length - offset)))
                    .build());
            response.onCompleted();
        }

        @Override
        public void uploadSnapshot(UploadSnapshotRequest request, StreamObserver<UploadSnapshotResponse> response) {
            assertThat(request.getOffset()).isEqualTo(uploaded.size());
            uploaded.writeBytes(request.getData().toByteArray());
            UploadSnapshotResponse.Builder answer = UploadSnapshotResponse.newBuilder();
            if (request.getLast()) {
                answer.setSnapshot(Snapshot.newBuilder().setName("uploaded-1.db"));
            }
            response.onNext(answer.build());
            response.onCompleted();
        }

        @Override
        public void restore(RestoreRequest request, StreamObserver<RestoreResponse> response) {
            RestoreResponse.Builder answer = RestoreResponse.newBuilder()
                    .addServices(RestoredService.newBuilder()
                            .setService("shop")
                            .setChange("changed")
                            .addComponents("web"));
            if (!request.getDryRun()) {
                restores++;
                answer.setBefore("registry-2.db");
            }
            response.onNext(answer.build());
            response.onCompleted();
        }

        @Override
        public void showNode(ShowNodeRequest request, StreamObserver<ShowNodeResponse> response) {
            response.onNext(ShowNodeResponse.newBuilder()
                    .setName("alpha")
                    .setVersion("1")
                    .setRegistry(RegistryFacts.newBuilder()
                            .setSnapshotAtMs(1_000)
                            .setSnapshots(1)
                            .setLoss(RegistryLoss.newBuilder()
                                    .setNoticedAtMs(3_000)
                                    .setLostSinceMs(1_000)
                                    .setSnapshot("registry-1.db")
                                    .setDamaged("/d/damaged-1.db")
                                    .setWhy("it is empty"))
                            .addUnconfirmed("shop"))
                    .build());
            response.onCompleted();
        }
    }

    @Test
    void everyNodeIsAskedAtOnceAndADeadOneHidesNoOther() {
        operator.node("alpha", new Keeper()).node("beta", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);

        Operator.Result result = operator.mcp("backup", "--json");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.out())
                .contains("{\"name\":\"beta\",\"reachable\":false")
                .contains(
                        "\"snapshots\":[{\"node\":\"alpha\",\"name\":\"registry-1.db\",\"taken_at\":\"1970-01-01T00:00:01Z\","
                                + "\"size_bytes\":" + CONTENT.length + ",\"file\":null}]}");
        assertThat(operator.mcp("backup", "--list").out()).contains("registry-1.db", "2.5 MiB");
    }

    @Test
    void aCopyIsWholeAndTheOwnersAloneAndCanBeRestored() throws IOException {
        Keeper keeper = new Keeper();
        operator.node("alpha", keeper);
        Path folder = Files.createDirectory(scratch.resolve("copies"));

        assertThat(operator.mcp("backup", "--to", folder.toString()).exit()).isZero();
        Path copy = folder.resolve("alpha-registry-1.db");
        assertThat(Files.readAllBytes(copy)).isEqualTo(CONTENT);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(copy)))
                .isEqualTo("rw-------");

        Operator.Result dry = operator.mcp("restore", "alpha", "--file", copy.toString(), "--dry-run");
        assertThat(dry.out()).contains("changed", "nothing was changed", "uploaded-1.db");
        assertThat(keeper.restores).isZero();
        assertThat(keeper.uploaded.toByteArray()).isEqualTo(CONTENT);

        Operator.Result done = operator.mcp("restore", "alpha", "registry-1.db", "--json");
        assertThat(done.out())
                .isEqualTo(
                        "{\"result\":\"ok\",\"node\":\"alpha\",\"snapshot\":\"registry-1.db\",\"before\":\"registry-2.db\","
                                + "\"services\":[{\"service\":\"shop\",\"change\":\"changed\",\"components\":[\"web\"]}]}\n");
        assertThat(keeper.restores).isEqualTo(1);
    }

    @Test
    void aFileThatIsNoBackupIsNamedAsItIsCalledHere() throws IOException {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void uploadSnapshot(UploadSnapshotRequest request, StreamObserver<UploadSnapshotResponse> response) {
                response.onError(Problems.toStatus(Problem.of(Problem.Kind.INVALID, "this is no backup of a registry")
                        .at("/var/lib/mcp/snapshots/upload-1.part")));
            }
        });
        Path file = Files.writeString(scratch.resolve("hostname"), "alpha");
        Operator.Result result = operator.mcp("restore", "alpha", "--file", file.toString());
        assertThat(result.exit()).isEqualTo(2);
        assertThat(result.err())
                .contains(
                        "this is no backup of a registry (" + file + ")",
                        "  next: give a copy that mcp backup --to made")
                .doesNotContain(".part");
    }

    @Test
    void aRestoreOfNothingOrOfTwoThingsIsWrongUsage() {
        operator.node("alpha", new Keeper());
        assertThat(operator.mcp("restore", "alpha").exit()).isEqualTo(2);
        assertThat(operator.mcp("restore", "alpha", "registry-1.db", "--file", "x")
                        .exit())
                .isEqualTo(2);
        assertThat(operator.mcp("restore", "alpha", "--file", "/nowhere/x").exit())
                .isEqualTo(2);
    }

    @Test
    void aLossIsSaidWhereTheNodeIsShown() {
        operator.node("alpha", new Keeper());
        assertThat(operator.mcp("node", "show", "alpha").out())
                .contains("1 snapshot, the last of 1970-01-01T00:00:01Z", "LOSS", "since 1970-01-01T00:00:01Z is lost")
                .contains("CONFIRM", "shop");
        assertThat(operator.mcp("node", "show", "alpha", "--json").out())
                .contains(
                        "\"registry\":{\"snapshot_at\":\"1970-01-01T00:00:01Z\",\"snapshots\":1,\"loss\":{\"noticed_at\":")
                .contains("\"unconfirmed\":[\"shop\"]");
    }
}
