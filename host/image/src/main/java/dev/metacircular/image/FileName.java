package dev.metacircular.image;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * The name of a directory entry: 1 to 255 bytes, none of them {@code /} or zero, and not {@code .} or {@code ..}. A name is bytes,
 * not text, and is ordered by them as unsigned numbers, as EROFS orders them.
 */
public final class FileName implements Comparable<FileName> {
    /** The longest name in bytes that EROFS and Linux take. */
    public static final int MAX_BYTES = 255;

    private final byte[] bytes;

    private FileName(byte[] bytes) {
        this.bytes = bytes;
    }

    /** The name with the UTF-8 bytes of {@code text}. */
    public static FileName of(String text) {
        return of(text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * The name with these bytes.
     *
     * @throws ImageException if they are no name
     */
    public static FileName of(byte[] bytes) {
        byte[] copy = bytes.clone();
        if (copy.length == 0 || copy.length > MAX_BYTES) {
            throw new ImageException("The file name '%s' has %d bytes; an image takes 1 to %d: rename the file."
                    .formatted(show(copy), copy.length, MAX_BYTES));
        }
        for (byte b : copy) {
            if (b == 0 || b == '/') {
                throw new ImageException(
                        "The file name '%s' holds a slash or a zero byte: rename the file.".formatted(show(copy)));
            }
        }
        if (isDots(copy)) {
            throw new ImageException(
                    "The file name '%s' is reserved for the directory itself and its parent.".formatted(show(copy)));
        }
        return new FileName(copy);
    }

    static boolean isDots(byte[] name) {
        return (name.length == 1 && name[0] == '.') || (name.length == 2 && name[0] == '.' && name[1] == '.');
    }

    /** How many bytes it has. */
    public int sizeBytes() {
        return bytes.length;
    }

    /** The name's bytes, a copy. */
    public byte[] bytes() {
        return bytes.clone();
    }

    @Override
    public int compareTo(FileName other) {
        return Arrays.compareUnsigned(bytes, other.bytes);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof FileName name && Arrays.equals(bytes, name.bytes);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bytes);
    }

    /** The name as text; control characters, {@code \} and bytes that are not UTF-8 are written {@code \xXX}. */
    @Override
    public String toString() {
        return show(bytes);
    }

    /** {@code bytes} as one line of text, unambiguous whatever they hold. */
    static String show(byte[] bytes) {
        boolean text = true;
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
        } catch (CharacterCodingException e) {
            text = false;
        }
        if (text) {
            String decoded = new String(bytes, StandardCharsets.UTF_8);
            if (decoded.chars().noneMatch(c -> Character.isISOControl(c) || c == '\\')) {
                return decoded;
            }
        }
        StringBuilder shown = new StringBuilder();
        HexFormat hex = HexFormat.of();
        for (byte b : bytes) {
            if (b >= 0x20 && b < 0x7f && b != '\\') {
                shown.append((char) b);
            } else {
                shown.append("\\x").append(hex.toHexDigits(b));
            }
        }
        return shown.toString();
    }
}
