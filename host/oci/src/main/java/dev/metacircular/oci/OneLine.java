package dev.metacircular.oci;

/** What others wrote, as a part of a message. */
final class OneLine {
    private static final int MAX_CHARS = 400;

    private OneLine() {}

    static String of(String text) {
        String line = text.strip().replaceAll("[\\p{Cntrl}\\s]+", " ");
        return line.length() <= MAX_CHARS ? line : line.substring(0, MAX_CHARS) + "…";
    }

    /** A failure's kind and what it says of itself. */
    static String of(Throwable failure) {
        String message = failure.getMessage();
        return message == null || message.isBlank()
                ? failure.getClass().getSimpleName()
                : failure.getClass().getSimpleName() + " " + of(message);
    }
}
