package dev.metacircular.ukernel;

import dev.metacircular.oci.Progress;
import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Optional;

/** How far a transfer is: one line on a terminal that changes in place; nothing where there is none. */
final class TransferLine implements Progress, AutoCloseable {
    private static final long BETWEEN_NANOS = Duration.ofMillis(200).toNanos();
    private static final String ERASE_LINE = "\r\033[K";

    private final String verb;
    private final PrintStream out;
    private final boolean shown;
    private long last = System.nanoTime();
    private boolean written;

    TransferLine(String verb, PrintStream out, boolean shown) {
        this.verb = verb;
        this.out = out;
        this.shown = shown;
    }

    static TransferLine of(String verb, Cli cli, boolean json) {
        boolean terminal = Optional.ofNullable(System.console())
                .filter(Console::isTerminal)
                .isPresent();
        return new TransferLine(verb, cli.err(), terminal && !json);
    }

    @Override
    public synchronized void bytes(long done, long total) {
        long now = System.nanoTime();
        if (shown && now - last >= BETWEEN_NANOS) {
            last = now;
            written = true;
            long percent = total == 0 ? 100 : Math.min(100, (long) (100.0 * done / total));
            out.print("%s%s: %s of %s, %d %%"
                    .formatted(ERASE_LINE, verb, Report.size(done), Report.size(total), percent));
            out.flush();
        }
    }

    @Override
    public void close() {
        erase();
    }

    /** Takes the line away, so that another can stand there. */
    synchronized void erase() {
        if (written) {
            out.print(ERASE_LINE);
            out.flush();
            written = false;
        }
    }
}
