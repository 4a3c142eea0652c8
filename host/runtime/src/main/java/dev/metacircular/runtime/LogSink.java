package dev.metacircular.runtime;

import java.time.Instant;

/** Takes log lines. */
public interface LogSink {
    /** Where a line was written to. */
    enum Stream {
        OUT,
        ERR
    }

    /** @param text without its line end; a line that is longer than 16 KiB arrives in parts */
    void line(Instant time, Stream stream, String text);

    /** Whether no more lines are wanted; asked before each line and at least once a second. */
    boolean isCancelled();
}
