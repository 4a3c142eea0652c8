package dev.metacircular.runtime.microvm;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;

/** Writes archives for tests, also such as no other program writes. */
final class TarWriter {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    TarWriter file(String path, int mode, byte[] content) {
        return entry('0', path, "", mode, content.length, content);
    }

    TarWriter file(String path, String content) {
        return file(path, 0644, content.getBytes(StandardCharsets.UTF_8));
    }

    TarWriter folder(String path) {
        return entry('5', path, "", 0755, 0, new byte[0]);
    }

    TarWriter link(String path, String target) {
        return entry('2', path, target, 0777, 0, new byte[0]);
    }

    TarWriter hardLink(String path, String target) {
        return entry('1', path, target, 0644, 0, new byte[0]);
    }

    TarWriter pax(String... lines) {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        for (String line : lines) {
            byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
            int length = bytes.length + 3;
            while (Integer.toString(length).length() + bytes.length + 2 != length) {
                length++;
            }
            body.writeBytes((length + " ").getBytes(StandardCharsets.US_ASCII));
            body.writeBytes(bytes);
            body.write('\n');
        }
        return entry('x', "PaxHeaders/0", "", 0644, body.size(), body.toByteArray());
    }

    TarWriter entry(char type, String path, String target, int mode, long size, byte[] content) {
        byte[] header = new byte[512];
        put(header, 0, path.getBytes(StandardCharsets.UTF_8), 100);
        put(header, 100, octal(mode, 7), 8);
        put(header, 108, octal(1000, 7), 8);
        put(header, 116, octal(1000, 7), 8);
        put(header, 124, octal(size, 11), 12);
        put(header, 136, octal(1_700_000_000L, 11), 12);
        header[156] = (byte) type;
        put(header, 157, target.getBytes(StandardCharsets.UTF_8), 100);
        put(header, 257, "ustar\00000".getBytes(StandardCharsets.US_ASCII), 8);
        Arrays.fill(header, 148, 156, (byte) ' ');
        int sum = 0;
        for (byte b : header) {
            sum += b & 0xff;
        }
        put(header, 148, octal(sum, 6), 7);
        out.writeBytes(header);
        out.writeBytes(content);
        out.writeBytes(new byte[-content.length & 511]);
        return this;
    }

    private static byte[] octal(long value, int digits) {
        return ("%0" + digits + "o").formatted(value).getBytes(StandardCharsets.US_ASCII);
    }

    private static void put(byte[] header, int at, byte[] value, int most) {
        System.arraycopy(value, 0, header, at, Math.min(value.length, most));
    }

    byte[] bytes() {
        byte[] whole = out.toByteArray();
        return Arrays.copyOf(whole, whole.length + 1024);
    }

    static byte[] gzip(byte[] bytes) {
        ByteArrayOutputStream compressed = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(compressed)) {
            gzip.write(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return compressed.toByteArray();
    }
}
