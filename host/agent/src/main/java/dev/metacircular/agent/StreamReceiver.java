package dev.metacircular.agent;

import dev.metacircular.contract.Problems;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;

/** Sends items as fast as the caller takes them, and stops when it has gone. */
final class StreamReceiver<T> implements Receiver<T> {
    private static final long WAIT_MILLIS = 1_000;

    private final ServerCallStreamObserver<T> observer;

    private StreamReceiver(ServerCallStreamObserver<T> observer) {
        this.observer = observer;
    }

    /** What delivers the items. */
    interface Source<T> {
        void deliver(Receiver<T> receiver) throws InterruptedException;
    }

    /** Runs the source on a thread of its own. */
    static <T> void serve(StreamObserver<T> observer, Source<T> source) {
        StreamReceiver<T> stream = new StreamReceiver<>((ServerCallStreamObserver<T>) observer);
        stream.observer.setOnReadyHandler(stream::wake);
        stream.observer.setOnCancelHandler(stream::wake);
        Thread.startVirtualThread(() -> {
            try {
                source.deliver(stream);
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
    public void accept(T item) throws InterruptedException {
        synchronized (this) {
            while (!observer.isReady() && !observer.isCancelled()) {
                wait(WAIT_MILLIS);
            }
        }
        observer.onNext(item);
    }

    @Override
    public boolean isCancelled() {
        return observer.isCancelled();
    }
}
