package dev.metacircular.agent;

import com.google.protobuf.UnsafeByteOperations;
import dev.metacircular.contract.Messages;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.FileFacts;
import dev.metacircular.contract.v1.PullOutput;
import dev.metacircular.contract.v1.PullRequest;
import dev.metacircular.contract.v1.PushInput;
import dev.metacircular.contract.v1.PushResponse;
import dev.metacircular.contract.v1.PushStart;
import dev.metacircular.model.Problem;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;

/** Takes and gives files for callers of {@code Push} and {@code Pull}, no faster than the other side goes. */
final class FileService {
    private static final int CHUNKS_HELD = 4;
    private static final int MAX_CHUNK_BYTES = 256 << 10;
    private static final long WAIT_MILLIS = 500;

    private final FileTransfers transfers;
    private final Outcomes outcomes;

    FileService(FileTransfers transfers, Outcomes outcomes) {
        this.transfers = transfers;
        this.outcomes = outcomes;
    }

    StreamObserver<PushInput> push(Caller caller, StreamObserver<PushResponse> observer) {
        ServerCallStreamObserver<PushResponse> out = (ServerCallStreamObserver<PushResponse>) observer;
        Push push = new Push(caller, out);
        out.setOnCancelHandler(push::goes);
        return push;
    }

    void pull(PullRequest request, StreamObserver<PullOutput> observer) {
        Pull pull = new Pull((ServerCallStreamObserver<PullOutput>) observer);
        pull.out.setOnReadyHandler(pull::wake);
        pull.out.setOnCancelHandler(pull::wake);
        Thread.startVirtualThread(() -> {
            try {
                transfers.pull(Messages.name(request.getService(), "service"), request.getPath(), pull);
                pull.out.onCompleted();
            } catch (RuntimeException e) {
                if (!pull.out.isCancelled()) {
                    pull.out.onError(Problems.toStatus(PlanExecutor.problem(e)));
                }
            }
        });
    }

    /** One call: the first message says what and whereto, the others are the content. */
    private final class Push implements StreamObserver<PushInput>, FileTransfers.Source {
        private final Caller caller;
        private final ServerCallStreamObserver<PushResponse> out;
        /** An empty chunk is the end. */
        private final BlockingQueue<byte[]> chunks = new ArrayBlockingQueue<>(CHUNKS_HELD);

        private boolean started;
        private volatile boolean gone;
        private volatile boolean over;

        Push(Caller caller, ServerCallStreamObserver<PushResponse> out) {
            this.caller = caller;
            this.out = out;
        }

        void goes() {
            gone = true;
        }

        @Override
        public void onNext(PushInput input) {
            switch (input.getInputCase()) {
                case START -> begin(input.getStart());
                case DATA -> {
                    if (input.getData().size() > MAX_CHUNK_BYTES) {
                        fail(invalid("a chunk of more than " + MAX_CHUNK_BYTES + " bytes"));
                    } else if (!input.getData().isEmpty()) {
                        put(input.getData().toByteArray());
                    }
                }
                case END -> put(new byte[0]);
                case INPUT_NOT_SET -> fail(invalid("a message without content"));
            }
        }

        private void begin(PushStart start) {
            if (started) {
                fail(invalid("a second start"));
                return;
            }
            started = true;
            Thread.startVirtualThread(() -> {
                try {
                    PushResponse response = outcomes.once(
                            caller, start.getIdempotencyKey(), "Push", PushResponse.parser(), () -> write(start));
                    synchronized (this) {
                        if (!over && !out.isCancelled()) {
                            over = true;
                            out.onNext(response);
                            out.onCompleted();
                        }
                    }
                } catch (RuntimeException e) {
                    fail(e);
                }
            });
        }

        private PushResponse write(PushStart start) {
            FileTransfers.Written written = transfers.push(
                    Messages.name(start.getService(), "service"),
                    start.getPath(),
                    start.getSizeBytes(),
                    start.getMode(),
                    start.getParents(),
                    this);
            return PushResponse.newBuilder()
                    .setPath(written.path())
                    .setSizeBytes(written.sizeBytes())
                    .setMode(written.mode())
                    .build();
        }

        private void put(byte[] chunk) {
            if (!started) {
                fail(invalid("content before its start"));
            }
            try {
                while (!over && !gone && !chunks.offer(chunk, WAIT_MILLIS, TimeUnit.MILLISECONDS)) {
                    // The file takes it more slowly than it comes.
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                gone = true;
            }
        }

        @Override
        public Optional<byte[]> next() {
            long end = System.nanoTime() + FileProcess.IDLE.toNanos();
            try {
                while (System.nanoTime() < end) {
                    byte[] chunk = chunks.poll(WAIT_MILLIS, TimeUnit.MILLISECONDS);
                    if (chunk != null) {
                        return chunk.length == 0 ? Optional.empty() : Optional.of(chunk);
                    }
                    if (gone || over) {
                        throw new CancellationException("the caller has gone before the end of the file");
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CancellationException("the agent is ending");
            }
            throw Problem.of(
                            Problem.Kind.DEADLINE,
                            "nothing has come for " + FileProcess.IDLE.toSeconds() + " s; the old file is as it was")
                    .next("run the command again")
                    .exception();
        }

        private synchronized void fail(RuntimeException e) {
            if (over) {
                return;
            }
            over = true;
            if (!out.isCancelled()) {
                out.onError(Problems.toStatus(
                        e instanceof CancellationException
                                ? Problem.of(Problem.Kind.FAILED, "the transfer was cut short; nothing has changed")
                                        .next("run the command again")
                                : PlanExecutor.problem(e)));
            }
        }

        private RuntimeException invalid(String what) {
            return Problem.of(Problem.Kind.INVALID, "the transfer has " + what)
                    .next("use an mcp of the agent's version")
                    .exception();
        }

        @Override
        public void onError(Throwable failure) {
            gone = true;
        }

        @Override
        public synchronized void onCompleted() {
            if (!started) {
                fail(invalid("no start"));
            }
            // Without the end, this is a caller who stopped half-way.
            gone = true;
        }
    }

    /** One call. */
    private static final class Pull implements FileTransfers.Sink {
        private final ServerCallStreamObserver<PullOutput> out;

        Pull(ServerCallStreamObserver<PullOutput> out) {
            this.out = out;
        }

        private synchronized void wake() {
            notifyAll();
        }

        @Override
        public void facts(long sizeBytes, int mode) {
            send(PullOutput.newBuilder()
                    .setFacts(FileFacts.newBuilder().setSizeBytes(sizeBytes).setMode(mode))
                    .build());
        }

        @Override
        public void data(byte[] chunk) {
            send(PullOutput.newBuilder()
                    .setData(UnsafeByteOperations.unsafeWrap(chunk))
                    .build());
        }

        private synchronized void send(PullOutput message) {
            long end = System.nanoTime() + FileProcess.IDLE.toNanos();
            try {
                while (!out.isReady() && !out.isCancelled()) {
                    if (System.nanoTime() > end) {
                        throw Problem.of(Problem.Kind.DEADLINE, "the caller has taken nothing for a minute")
                                .next("run the command again")
                                .exception();
                    }
                    wait(WAIT_MILLIS);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CancellationException("the agent is ending");
            }
            if (out.isCancelled()) {
                throw new CancellationException("the caller has gone");
            }
            out.onNext(message);
        }
    }
}
