package dev.metacircular.ukernel;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** The kernel's last words, found in what a VM writes to its console. Keeps no more than {@value #BYTES_MAX} bytes of them. */
final class PanicText {
    static final int BYTES_MAX = 16 * 1024;
    private static final byte[] MARK = "ukernel: panic: ".getBytes(StandardCharsets.US_ASCII);

    private final ByteArrayOutputStream words = new ByteArrayOutputStream();
    private int matched;

    /** Takes what comes next; a new panic replaces one before it, for a workload may print such a line too. */
    void add(byte[] bytes) {
        for (byte b : bytes) {
            matched = b == MARK[matched] ? matched + 1 : b == MARK[0] ? 1 : 0;
            if (matched == MARK.length) {
                words.reset();
                words.writeBytes(MARK);
                matched = 0;
            } else if (words.size() > 0 && words.size() < BYTES_MAX) {
                words.write(b);
            }
        }
    }

    /** The last panic's report, from its first line on; empty if there was none. */
    Optional<String> report() {
        return words.size() == 0 ? Optional.empty() : Optional.of(words.toString(StandardCharsets.UTF_8));
    }
}
