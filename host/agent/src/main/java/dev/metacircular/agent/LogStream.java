package dev.metacircular.agent;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.Target;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;

/** Sends log lines as fast as the caller takes them, and stops when it has gone. */
final class LogStream implements LogService.Receiver {
    private static final long WAIT_MILLIS = 1_000;

    private final ServerCallStreamObserver<LogLine> observer;

    private LogStream(ServerCallStreamObserver<LogLine> observer) {
        this.observer = observer;
    }

    static void serve(LogService logs, LogsRequest request, StreamObserver<LogLine> observer) {
        LogStream stream = new LogStream((ServerCallStreamObserver<LogLine>) observer);
        stream.observer.setOnReadyHandler(stream::wake);
        stream.observer.setOnCancelHandler(stream::wake);
        Thread.startVirtualThread(() -> {
            try {
                Target target = new Target(
                        Messages.name(request.getService(), "service"),
                        Messages.optionalName(request.getComponent(), "component"));
                logs.read(target, request, stream);
                stream.observer.onCompleted();
            } catch (RuntimeException e) {
                stream.observer.onError(Problems.toStatus(PlanExecutor.problem(e)));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    private synchronized void wake() {
        notifyAll();
    }

    @Override
    public void line(LogLine line) throws InterruptedException {
        synchronized (this) {
            while (!observer.isReady() && !observer.isCancelled()) {
                wait(WAIT_MILLIS);
            }
        }
        observer.onNext(line);
    }

    @Override
    public boolean isCancelled() {
        return observer.isCancelled();
    }
}
