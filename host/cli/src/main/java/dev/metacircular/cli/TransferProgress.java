package dev.metacircular.cli;

/** How far a transfer is, where someone looks and it takes long enough to be looked at. */
final class TransferProgress implements AutoCloseable {
    private static final String CLEAR_LINE = "\r\u001b[K";
    private static final long WORTH_SHOWING_BYTES = 4L << 20;
    private static final long INTERVAL_NANOS = 100_000_000;

    private final Session session;
    private final String what;
    private final long totalBytes;
    private final boolean shows;
    private long doneBytes;
    private long shownNanos;

    TransferProgress(Session session, String what, long totalBytes) {
        this.session = session;
        this.what = what;
        this.totalBytes = totalBytes;
        this.shows = totalBytes >= WORTH_SHOWING_BYTES && session.streams().errIsTerminal() && !session.json();
        this.shownNanos = System.nanoTime();
    }

    void moved(int bytes) {
        doneBytes += bytes;
        if (shows && System.nanoTime() - shownNanos > INTERVAL_NANOS) {
            shownNanos = System.nanoTime();
            session.err()
                    .print(CLEAR_LINE + Text.printable(what) + "  " + Text.bytes(doneBytes) + " of "
                            + Text.bytes(totalBytes) + " (" + doneBytes * 100 / totalBytes + " %)");
            session.err().flush();
        }
    }

    @Override
    public void close() {
        if (shows) {
            session.err().print(CLEAR_LINE);
            session.err().flush();
        }
    }
}
