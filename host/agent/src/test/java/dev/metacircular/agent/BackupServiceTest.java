package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.DeployRequest;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListSnapshotsRequest;
import dev.metacircular.contract.v1.PlanRequest;
import dev.metacircular.contract.v1.PlanUpdate;
import dev.metacircular.contract.v1.RegistryFacts;
import dev.metacircular.contract.v1.RestoreRequest;
import dev.metacircular.contract.v1.RestoreResponse;
import dev.metacircular.contract.v1.RestoredService;
import dev.metacircular.contract.v1.SetDesiredRequest;
import dev.metacircular.contract.v1.ShowNodeRequest;
import dev.metacircular.contract.v1.Snapshot;
import dev.metacircular.contract.v1.StatusRequest;
import dev.metacircular.contract.v1.TakeSnapshotRequest;
import dev.metacircular.definition.ComponentDocuments;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots, restores and losses as a caller sees them. */
@Timeout(120)
class BackupServiceTest {
    private static final String IMAGE = "registry.example:5000/shop:v1";

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path scratch;

    @SuppressWarnings("NullAway.Init")
    private Remote remote;

    private int keys;

    @BeforeEach
    void open() throws IOException {
        remote = new Remote(scratch);
        remote.fake.publish(IMAGE, process -> {
            process.answer(200);
            process.awaitTermination();
            return 0;
        });
    }

    @AfterEach
    void close() {
        remote.close();
    }

    private void deploy(String service) throws IOException {
        var document = Messages.toMessage(
                TestNode.service(service, TestNode.serving("web", IMAGE).build()), ComponentDocuments::write);
        PlanUpdate plan = null;
        var plans = remote.blocking()
                .plan(PlanRequest.newBuilder().setService(document).build());
        while (plans.hasNext()) {
            plan = plans.next();
        }
        var updates = remote.blocking()
                .deploy(DeployRequest.newBuilder()
                        .setIdempotencyKey("k" + ++keys)
                        .setService(document)
                        .setBaseGeneration(
                                java.util.Objects.requireNonNull(plan).getPlan().getBaseGeneration())
                        .setPlan(plan.getPlan())
                        .build());
        updates.forEachRemaining(
                u -> assertThat(!u.hasResult() || u.getResult().getOk()).isTrue());
    }

    private RestoreResponse restore(String snapshot, boolean dryRun) throws IOException {
        return remote.blocking()
                .restore(RestoreRequest.newBuilder()
                        .setIdempotencyKey("k" + ++keys)
                        .setSnapshot(snapshot)
                        .setDryRun(dryRun)
                        .build());
    }

    private List<String> registered() throws IOException {
        return remote.blocking().list(ListRequest.getDefaultInstance()).getComponentsList().stream()
                .map(c -> c.getName())
                .toList();
    }

    private RegistryFacts facts() throws IOException {
        return remote.blocking().showNode(ShowNodeRequest.getDefaultInstance()).getRegistry();
    }

    @Test
    void aRestoreIsShownBeforeItIsDoneAndEndsNothingUntilItIsConfirmed() throws IOException {
        deploy("shop");
        Snapshot then = remote.blocking()
                .takeSnapshot(
                        TakeSnapshotRequest.newBuilder().setIdempotencyKey("t1").build());
        deploy("later");
        int running = remote.fake.list().size();
        assertThat(remote.blocking()
                        .listSnapshots(ListSnapshotsRequest.getDefaultInstance())
                        .getSnapshotsList())
                .contains(then);

        assertThat(restore(then.getName(), true).getServicesList())
                .extracting(RestoredService::getService, RestoredService::getChange)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple("later", "removed"),
                        org.assertj.core.groups.Tuple.tuple("shop", "unchanged"));
        assertThat(registered()).containsExactly("later-web", "shop-web");

        String before = restore(then.getName(), false).getBefore();
        assertThat(registered()).containsExactly("shop-web");
        assertThat(remote.fake.list()).hasSize(running);
        assertThat(facts().getUnconfirmedList()).containsExactly("shop");
        long generation = remote.blocking()
                .list(ListRequest.newBuilder().setService("shop").build())
                .getGeneration();
        remote.blocking()
                .setDesired(SetDesiredRequest.newBuilder()
                        .setIdempotencyKey("c1")
                        .setService("shop")
                        .setBaseGeneration(generation)
                        .putDesired("web", "running")
                        .build());
        assertThat(facts().getUnconfirmedList()).isEmpty();
        restore(before, false);
        assertThat(registered()).containsExactly("later-web", "shop-web");
        assertThat(remote.fake.list()).hasSize(running);
    }

    @Test
    void aDamagedRegistryIsReplacedAtTheStartAndTheLossIsAnEventAndInShowNode() throws IOException {
        deploy("shop");
        remote.blocking()
                .takeSnapshot(
                        TakeSnapshotRequest.newBuilder().setIdempotencyKey("t1").build());
        deploy("later");
        int running = remote.fake.list().size();
        remote.restartAfter(() -> {
            Files.write(remote.directory.resolve("registry.db"), new byte[20_000]);
            Files.deleteIfExists(remote.directory.resolve("registry.db-wal"));
        });

        assertThat(registered()).containsExactly("shop-web");
        assertThat(remote.fake.list()).hasSize(running);
        assertThat(facts().hasLoss()).isTrue();
        assertThat(facts().getLoss().getDamaged()).contains("damaged-");
        assertThat(facts().getLoss().getLostSinceMs())
                .isLessThan(facts().getLoss().getNoticedAtMs());
        assertThat(facts().getUnconfirmedList()).containsExactly("shop");
        assertThat(remote.blocking().status(StatusRequest.getDefaultInstance()).getEventsList())
                .anyMatch(e -> e.getKind().equals("registry_restored")
                        && e.getMessage().contains("is lost"));
    }
}
