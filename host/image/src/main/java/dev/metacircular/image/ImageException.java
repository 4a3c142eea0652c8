package dev.metacircular.image;

/** An image cannot be written or read. The message says what failed, on what, why, and what to do next. */
public final class ImageException extends RuntimeException {
    public ImageException(String message) {
        super(message);
    }

    public ImageException(String message, Throwable cause) {
        super(message, cause);
    }
}
