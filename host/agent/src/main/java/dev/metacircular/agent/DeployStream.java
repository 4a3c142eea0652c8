package dev.metacircular.agent;

import dev.metacircular.contract.v1.DeployResult;
import dev.metacircular.contract.v1.DeployUpdate;
import dev.metacircular.contract.v1.OperationUpdate;
import dev.metacircular.contract.v1.Progress;
import dev.metacircular.model.ComponentId;
import dev.metacircular.plan.Operation;
import dev.metacircular.plan.Plan;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** Sends a deploy's course to its caller; one that has gone away does not disturb the deploy. */
final class DeployStream implements DeployListener {
    private static final Duration PROGRESS_INTERVAL = Duration.ofMillis(200);

    private final StreamObserver<DeployUpdate> observer;
    private final Map<ComponentId, Long> lastProgress = new HashMap<>();

    DeployStream(StreamObserver<DeployUpdate> observer) {
        this.observer = observer;
    }

    @Override
    public void plan(Plan plan) {
        send(DeployUpdate.newBuilder().setPlan(Responses.plan(plan)).build());
    }

    @Override
    public synchronized void progress(ComponentId id, String what, long doneBytes, long totalBytes) {
        long now = System.nanoTime();
        Long last = lastProgress.get(id);
        if (last == null || now - last >= PROGRESS_INTERVAL.toNanos() || doneBytes >= totalBytes) {
            lastProgress.put(id, now);
            send(DeployUpdate.newBuilder()
                    .setProgress(progressMessage(id, what, doneBytes, totalBytes))
                    .build());
        }
    }

    static Progress progressMessage(ComponentId id, String what, long doneBytes, long totalBytes) {
        return Progress.newBuilder()
                .setComponent(id.component().value())
                .setWhat(what)
                .setDoneBytes(doneBytes)
                .setTotalBytes(totalBytes)
                .build();
    }

    @Override
    public void operation(int index, Operation operation, Status status, String message) {
        send(DeployUpdate.newBuilder()
                .setOperation(OperationUpdate.newBuilder()
                        .setIndex(index)
                        .setOp(operation.op())
                        .setComponent(Responses.component(operation))
                        .setStatus(status.toString())
                        .setMessage(message.isEmpty() ? operation.message() : message))
                .build());
    }

    void result(DeployResult result) {
        send(DeployUpdate.newBuilder().setResult(result).build());
    }

    private synchronized void send(DeployUpdate update) {
        observer.onNext(update);
    }
}
