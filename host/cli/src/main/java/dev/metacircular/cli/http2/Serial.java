package dev.metacircular.cli.http2;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/** Runs tasks one after the other, in the executor, or in the thread of whoever adds one while none runs. */
final class Serial {
    private final @Nullable Executor executor;
    private final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
    private boolean running;

    Serial(@Nullable Executor executor) {
        this.executor = executor;
    }

    void execute(Runnable task) {
        synchronized (tasks) {
            tasks.add(task);
            if (running) {
                return;
            }
            running = true;
        }
        if (executor == null) {
            drain();
        } else {
            executor.execute(this::drain);
        }
    }

    private void drain() {
        while (true) {
            Runnable task;
            synchronized (tasks) {
                task = tasks.poll();
                if (task == null) {
                    running = false;
                    return;
                }
            }
            boolean done = false;
            try {
                task.run();
                done = true;
            } finally {
                if (!done) {
                    synchronized (tasks) {
                        running = false;
                    }
                }
            }
        }
    }
}
