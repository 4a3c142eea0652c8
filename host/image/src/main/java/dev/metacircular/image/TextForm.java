package dev.metacircular.image;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * The line form that manifest and run-time configuration share ({@code docs/image-format.md}, «Text form»): a first line that
 * names form and version, then {@code key SP value LF}, control characters and {@code %} percent-encoded.
 */
final class TextForm {
    static final int MAX_BYTES = 64 * 1024;
    static final int MAX_LINES = 1024;

    /** One line after the first; {@code number} counts from 1 with the first line of the text. */
    record Line(int number, String key, String value) {}

    private final String what;
    private final String head;

    /**
     * @param what how messages call the text
     * @param head its first line
     */
    TextForm(String what, String head) {
        this.what = what;
        this.head = head;
    }

    /** @throws ImageException if the lines exceed the form's limits */
    byte[] write(List<Line> lines) {
        if (lines.size() >= MAX_LINES) {
            throw new ImageException("The %s would have %d lines; its limit is %d: pass fewer arguments and variables."
                    .formatted(what, lines.size() + 1, MAX_LINES));
        }
        StringBuilder text = new StringBuilder(head).append('\n');
        for (Line line : lines) {
            text.append(line.key()).append(' ');
            encode(line.value(), text);
            text.append('\n');
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        if (bytes.length > MAX_BYTES) {
            throw new ImageException(
                    "The %s would have %d bytes; its limit is %d: pass shorter arguments and variables."
                            .formatted(what, bytes.length, MAX_BYTES));
        }
        return bytes;
    }

    private static void encode(String value, StringBuilder text) {
        HexFormat hex = HexFormat.of().withUpperCase();
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c < 0x20 || c == 0x7f || c == '%') {
                text.append('%').append(hex.toHexDigits((byte) c));
            } else {
                text.append(c);
            }
        }
    }

    /** @throws ImageException naming the line that does not follow the form */
    List<Line> read(byte[] bytes) {
        if (bytes.length > MAX_BYTES) {
            throw bad(1, "the text has %d bytes, its limit is %d".formatted(bytes.length, MAX_BYTES));
        }
        List<Line> lines = new ArrayList<>();
        int number = 0;
        for (int start = 0; start < bytes.length; ) {
            number++;
            int end = start;
            while (end < bytes.length && bytes[end] != '\n') {
                end++;
            }
            if (end == bytes.length) {
                throw bad(number, "it has no line end");
            }
            if (number > MAX_LINES) {
                throw bad(number, "the text has more than %d lines".formatted(MAX_LINES));
            }
            if (number == 1) {
                requireHead(bytes, end);
            } else {
                lines.add(line(bytes, start, end, number));
            }
            start = end + 1;
        }
        if (number == 0) {
            throw bad(1, "the text is empty");
        }
        return lines;
    }

    private void requireHead(byte[] bytes, int end) {
        byte[] wanted = head.getBytes(StandardCharsets.UTF_8);
        if (!Arrays.equals(bytes, 0, end, wanted, 0, wanted.length)) {
            throw bad(
                    1,
                    "it is '%s' where '%s' is understood"
                            .formatted(FileName.show(Arrays.copyOf(bytes, Math.min(end, 80))), head));
        }
    }

    private Line line(byte[] bytes, int start, int end, int number) {
        int space = start;
        while (space < end && bytes[space] != ' ') {
            space++;
        }
        if (space == end || space == start) {
            throw bad(number, "it has no key and value with a space between them");
        }
        ByteArrayOutputStream value = new ByteArrayOutputStream(end - space);
        for (int i = space + 1; i < end; i++) {
            byte b = bytes[i];
            if (b == '%') {
                if (end - i < 3 || !isUpperHex(bytes[i + 1]) || !isUpperHex(bytes[i + 2])) {
                    throw bad(number, "its value has a '%' that two upper-case hex digits do not follow");
                }
                value.write(HexFormat.fromHexDigit(bytes[i + 1]) << 4 | HexFormat.fromHexDigit(bytes[i + 2]));
                i += 2;
            } else if ((b >= 0 && b < 0x20) || b == 0x7f) {
                throw bad(number, "its value has a control character that is not percent-encoded");
            } else {
                value.write(b);
            }
        }
        return new Line(number, utf8(bytes, start, space, number), utf8(value.toByteArray(), 0, value.size(), number));
    }

    private static boolean isUpperHex(byte b) {
        return (b >= '0' && b <= '9') || (b >= 'A' && b <= 'F');
    }

    private String utf8(byte[] bytes, int start, int end, int number) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes, start, end - start))
                    .toString();
        } catch (CharacterCodingException e) {
            ImageException bad = bad(number, "it is not UTF-8");
            bad.initCause(e);
            throw bad;
        }
    }

    /** The error for a line; {@code why} continues «cannot be read: ». */
    ImageException bad(int line, String why) {
        return new ImageException("The %s cannot be read: line %d: %s.".formatted(what, line, why));
    }

    /** The error for the text as a whole. */
    ImageException bad(String why) {
        return new ImageException("The %s cannot be read: %s.".formatted(what, why));
    }
}
