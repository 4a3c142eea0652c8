package dev.metacircular.contract;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToLongFunction;

/**
 * Merges streams, each in the order of its times, into one. A line is given out once no open source can have an earlier one: each has
 * shown what comes next. A source that shows nothing for a while is not waited for any longer. Holds a bounded number of lines of each
 * source, and has a source that is ahead wait. Safe for any number of threads.
 */
public final class TimeMerge<T> {
    private static final int LINES_HELD = 256;

    private final ToLongFunction<? super T> time;
    private final Duration patience;
    private final Duration firstPatience;
    private final List<Source> sources = new ArrayList<>();
    private boolean closed;

    /**
     * @param time of a line, comparable with other sources' times
     * @param patience how long the next line waits for a source that is silent
     * @param firstPatience how long it waits for one that has said nothing yet
     */
    public TimeMerge(ToLongFunction<? super T> time, Duration patience, Duration firstPatience) {
        this.time = time;
        this.patience = patience;
        this.firstPatience = firstPatience;
    }

    /** One stream. */
    public final class Source implements AutoCloseable {
        private final ArrayDeque<T> lines = new ArrayDeque<>();
        private long silentSinceNanos = System.nanoTime();
        private boolean spoke;
        private boolean ended;

        /**
         * Adds a line, waiting for room.
         *
         * @return false if nobody takes lines any more
         */
        public boolean put(T line) throws InterruptedException {
            synchronized (TimeMerge.this) {
                while (!closed && lines.size() >= LINES_HELD) {
                    TimeMerge.this.wait();
                }
                if (closed) {
                    return false;
                }
                lines.add(line);
                spoke = true;
                TimeMerge.this.notifyAll();
                return true;
            }
        }

        /** Nothing more comes of it. */
        @Override
        public void close() {
            synchronized (TimeMerge.this) {
                ended = true;
                TimeMerge.this.notifyAll();
            }
        }

        private long waitsNanos(long now) {
            long limit = (spoke ? patience : firstPatience).toNanos();
            return Math.max(0, limit - (now - silentSinceNanos));
        }
    }

    /** Adds a stream; also while others are under way. */
    public synchronized Source add() {
        Source source = new Source();
        sources.add(source);
        return source;
    }

    /** The next line; empty if there is none within the time. */
    public synchronized Optional<T> poll(Duration limit) throws InterruptedException {
        long end = System.nanoTime() + limit.toNanos();
        while (true) {
            long now = System.nanoTime();
            sources.removeIf(s -> s.ended && s.lines.isEmpty());
            Optional<Source> first = first();
            long wait = Math.max(0, end - now);
            if (first.isPresent()) {
                long others = sources.stream()
                        .filter(s -> s.lines.isEmpty())
                        .mapToLong(s -> s.waitsNanos(now))
                        .max()
                        .orElse(0);
                if (others == 0) {
                    return Optional.of(take(first.get(), now));
                }
                wait = Math.min(wait, others);
            }
            if (now >= end || sources.isEmpty()) {
                return Optional.empty();
            }
            wait(wait / 1_000_000, (int) (wait % 1_000_000));
        }
    }

    private Optional<Source> first() {
        Optional<Source> first = Optional.empty();
        long earliest = Long.MAX_VALUE;
        for (Source s : sources) {
            T head = s.lines.peek();
            if (head != null && (first.isEmpty() || time.applyAsLong(head) < earliest)) {
                earliest = time.applyAsLong(head);
                first = Optional.of(s);
            }
        }
        return first;
    }

    private T take(Source source, long now) {
        T line = source.lines.remove();
        if (source.lines.isEmpty()) {
            source.silentSinceNanos = now;
        }
        notifyAll();
        return line;
    }

    /** Whether every stream has ended and all of it was given out. */
    public synchronized boolean isDone() {
        sources.removeIf(s -> s.ended && s.lines.isEmpty());
        return sources.isEmpty();
    }

    /** Takes no more lines; whoever waits with one is told. */
    public synchronized void close() {
        closed = true;
        sources.forEach(s -> s.lines.clear());
        notifyAll();
    }
}
