package dev.metacircular.agent;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.metacircular.contract.v1.ListSnapshotsResponse;
import dev.metacircular.contract.v1.ReadSnapshotRequest;
import dev.metacircular.contract.v1.RestoreRequest;
import dev.metacircular.contract.v1.RestoreResponse;
import dev.metacircular.contract.v1.RestoredService;
import dev.metacircular.contract.v1.SnapshotPart;
import dev.metacircular.contract.v1.UploadSnapshotRequest;
import dev.metacircular.contract.v1.UploadSnapshotResponse;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.registry.Backups;
import dev.metacircular.registry.RegisteredComponent;
import dev.metacircular.registry.RegisteredService;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.registry.Snapshot;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** The registry's snapshots as callers see them; a restore holds every service that it concerns. */
final class BackupService {
    private final Backups backups;
    private final NodeView view;
    private final ServiceLocks locks;
    private final EventLog events;

    BackupService(Backups backups, NodeView view, ServiceLocks locks, EventLog events) {
        this.backups = backups;
        this.view = view;
        this.locks = locks;
        this.events = events;
    }

    ListSnapshotsResponse list() {
        return ListSnapshotsResponse.newBuilder()
                .addAllSnapshots(orProblem(backups::list).stream()
                        .map(BackupService::message)
                        .toList())
                .build();
    }

    dev.metacircular.contract.v1.Snapshot take() {
        return message(orProblem(backups::take));
    }

    SnapshotPart read(ReadSnapshotRequest request) {
        byte[] part = orProblem(() -> backups.read(request.getName(), request.getOffset()));
        return SnapshotPart.newBuilder()
                .setData(UnsafeByteOperations.unsafeWrap(part))
                .build();
    }

    UploadSnapshotResponse upload(UploadSnapshotRequest request) {
        ByteString data = request.getData();
        UploadSnapshotResponse.Builder response = UploadSnapshotResponse.newBuilder();
        orProblem(() -> backups.upload(request.getUpload(), request.getOffset(), data.toByteArray(), request.getLast()))
                .ifPresent(s -> response.setSnapshot(message(s)));
        return response.build();
    }

    /**
     * Restores, or tells what it would change.
     *
     * @throws ProblemException {@code NOT_FOUND}, {@code LOCKED} while somebody changes one of the services, {@code FAILED} for a
     *     snapshot that cannot be used
     */
    RestoreResponse restore(String by, RestoreRequest request) {
        String name = request.getSnapshot();
        Map<Name, RegisteredService> old = orProblem(() -> backups.services(name)).stream()
                .collect(Collectors.toMap(RegisteredService::name, Function.identity(), (a, _) -> a, TreeMap::new));
        // Rows that cannot be read would be of no use to anyone.
        old.values().forEach(s -> s.components().forEach(BackupService::read));
        RestoreResponse changes = changes(old);
        if (request.getDryRun()) {
            return changes;
        }
        List<ServiceLocks.Held> held = new ArrayList<>();
        try {
            changes.getServicesList()
                    .forEach(s -> held.add(locks.acquire(Name.of(s.getService()), "a restore by " + by)));
            Snapshot before = orProblem(() -> backups.restore(name));
            view.reload();
            events.node(
                    EventLog.Kind.RESTORED,
                    by + " put snapshot " + name + " in the place of the registered services (" + summary(changes)
                            + "); what was before is snapshot " + before.name());
            return changes.toBuilder().setBefore(before.name()).build();
        } finally {
            held.forEach(ServiceLocks.Held::close);
        }
    }

    private static String summary(RestoreResponse changes) {
        Map<String, Long> counts = changes.getServicesList().stream()
                .collect(Collectors.groupingBy(RestoredService::getChange, TreeMap::new, Collectors.counting()));
        return counts.entrySet().stream()
                .map(e -> e.getValue() + " " + e.getKey())
                .collect(Collectors.joining(", "));
    }

    private static void read(RegisteredComponent row) {
        ComponentDocuments.read(row.documentVersion(), row.document());
    }

    private RestoreResponse changes(Map<Name, RegisteredService> old) {
        Map<Name, RestoredService> all = new TreeMap<>();
        for (KnownService now : view.services()) {
            all.put(now.name(), change(now.name(), "removed", List.of()));
        }
        for (RegisteredService then : old.values()) {
            String change = view.service(then.name())
                    .map(now -> same(now, then) ? "unchanged" : "changed")
                    .orElse("added");
            all.put(
                    then.name(),
                    change(
                            then.name(),
                            change,
                            then.components().stream()
                                    .map(c -> c.id().component().value())
                                    .toList()));
        }
        return RestoreResponse.newBuilder().addAllServices(all.values()).build();
    }

    private static RestoredService change(Name service, String change, List<String> components) {
        return RestoredService.newBuilder()
                .setService(service.value())
                .setChange(change)
                .addAllComponents(components)
                .build();
    }

    private static boolean same(KnownService now, RegisteredService then) {
        return now.active() == then.active()
                && now.components().stream()
                        .map(m -> List.of(
                                m.id(),
                                m.row().desired(),
                                m.row().documentDigest(),
                                m.row().imageId()))
                        .toList()
                        .equals(then.components().stream()
                                .map(c -> List.of(c.id(), c.desired(), c.documentDigest(), c.imageId()))
                                .toList());
    }

    private static dev.metacircular.contract.v1.Snapshot message(Snapshot snapshot) {
        return dev.metacircular.contract.v1.Snapshot.newBuilder()
                .setName(snapshot.name())
                .setTakenAtMs(snapshot.takenAt().toEpochMilli())
                .setSizeBytes(snapshot.sizeBytes())
                .build();
    }

    private static <T> T orProblem(Supplier<T> work) {
        try {
            return work.get();
        } catch (RegistryException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.FAILED, String.valueOf(e.getMessage()))
                            .next("mcp backup --list shows the others"),
                    e);
        }
    }
}
