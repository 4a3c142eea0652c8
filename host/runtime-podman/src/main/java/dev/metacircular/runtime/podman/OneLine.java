package dev.metacircular.runtime.podman;

/** Text from a daemon as a message of ours may hold it: one line, printable, bounded. */
final class OneLine {
    static final int MAX_CHARS = 500;

    private OneLine() {}

    static String of(String text) {
        String line = text.strip().replaceAll("[\\p{Cntrl}\\s]+", " ");
        return line.length() <= MAX_CHARS ? line : line.substring(0, MAX_CHARS) + "…";
    }
}
