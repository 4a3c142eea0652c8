package dev.metacircular.runtime.microvm;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Reads a tar archive from front to back: ustar and pax (POSIX.1-2017, pax), and the long names of GNU tar. Nothing in it is
 * trusted; what is not understood is refused.
 */
final class TarReader {
    private static final int BLOCK_BYTES = 512;
    /** Of all extended headers of one entry. */
    private static final int MAX_EXTENDED_BYTES = 2 << 20;

    private static final int MAX_PATH_BYTES = 4096;
    /** The others say nothing that matters here. */
    private static final Set<String> KEYS = Set.of("path", "linkpath", "size", "uid", "gid", "mtime");

    private final InputStream in;
    private long leftOfEntry;
    private int padding;
    private int extendedBytes;

    TarReader(InputStream in) {
        this.in = in;
    }

    /** What an entry is. */
    enum Kind {
        FILE,
        HARD_LINK,
        SYMBOLIC_LINK,
        DIRECTORY,
        /** A device or a pipe. */
        SPECIAL
    }

    /** What a header says. */
    static final class Entry {
        private final Kind kind;
        private final byte[] path;
        private final byte[] target;
        private final int mode;
        private final long uid;
        private final long gid;
        private final long modifiedSeconds;

        private Entry(Kind kind, byte[] path, byte[] target, int mode, long uid, long gid, long modifiedSeconds) {
            this.kind = kind;
            this.path = path;
            this.target = target;
            this.mode = mode;
            this.uid = uid;
            this.gid = gid;
            this.modifiedSeconds = modifiedSeconds;
        }

        Kind kind() {
            return kind;
        }

        /** As it stands there; the caller does not change it. */
        byte[] path() {
            return path;
        }

        /** Of a link, as it stands there; the caller does not change it. */
        byte[] target() {
            return target;
        }

        int mode() {
            return mode;
        }

        long uid() {
            return uid;
        }

        long gid() {
            return gid;
        }

        /** Since 1970. */
        long modifiedSeconds() {
            return modifiedSeconds;
        }
    }

    /** An archive that is damaged, or has something that is not taken. */
    static final class BadArchive extends IOException {
        private static final long serialVersionUID = 1L;

        BadArchive(String message) {
            super(message);
        }
    }

    /** The next entry; what was not read of the one before is passed over. */
    Optional<Entry> next() throws IOException {
        Map<String, byte[]> extended = new HashMap<>();
        boolean pending = false;
        extendedBytes = 0;
        while (true) {
            // Not at once: the sum may be beyond what a number holds.
            in.skipNBytes(leftOfEntry);
            in.skipNBytes(padding);
            leftOfEntry = 0;
            padding = 0;
            byte[] header = in.readNBytes(BLOCK_BYTES);
            if (header.length == 0 || isZero(header)) {
                if (pending) {
                    throw new BadArchive("it ends after an extended header");
                }
                return Optional.empty();
            }
            if (header.length < BLOCK_BYTES) {
                throw new EOFException("the archive ends within a header");
            }
            requireChecksum(header);
            begin(number(header, 124, 12));
            byte type = header[156];
            pending |= type == 'x' || type == 'L' || type == 'K';
            switch (type) {
                case 'x' -> readPax(extended);
                case 'g' -> readHeader();
                case 'L' -> extended.put("path", untilZero(readHeader()));
                case 'K' -> extended.put("linkpath", untilZero(readHeader()));
                default -> {
                    return Optional.of(entry(header, type, extended));
                }
            }
        }
    }

    /** The rest of the current entry's content. */
    InputStream content() {
        return new InputStream() {
            @Override
            public int read() throws IOException {
                byte[] one = new byte[1];
                return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
            }

            @Override
            public int read(byte[] buffer, int offset, int length) throws IOException {
                if (leftOfEntry == 0) {
                    return -1;
                }
                int read = in.read(buffer, offset, (int) Math.min(length, leftOfEntry));
                if (read < 0) {
                    throw new EOFException("the archive ends within a file");
                }
                leftOfEntry -= read;
                return read;
            }
        };
    }

    private void begin(long size) throws BadArchive {
        if (size < 0) {
            throw new BadArchive("an entry has a negative size");
        }
        leftOfEntry = size;
        padding = (int) (-size & (BLOCK_BYTES - 1));
    }

    private Entry entry(byte[] header, byte type, Map<String, byte[]> extended) throws IOException {
        if (extended.containsKey("size")) {
            begin(decimal(extended, "size"));
        }
        byte[] path = extended.getOrDefault("path", ustarPath(header));
        byte[] target = extended.getOrDefault("linkpath", field(header, 157, 100));
        if (path.length > MAX_PATH_BYTES || target.length > MAX_PATH_BYTES) {
            throw new BadArchive("a path has more than " + MAX_PATH_BYTES + " bytes");
        }
        boolean folder = path.length > 0 && path[path.length - 1] == '/';
        Kind kind = switch (type) {
            case 0, '0' -> folder ? Kind.DIRECTORY : Kind.FILE;
            case '7' -> Kind.FILE;
            case '1' -> Kind.HARD_LINK;
            case '2' -> Kind.SYMBOLIC_LINK;
            case '3', '4', '6' -> Kind.SPECIAL;
            case '5' -> Kind.DIRECTORY;
            default ->
                throw new BadArchive("'%s' is of the type 0x%02x, which is not taken".formatted(show(path), type));
        };
        if (kind != Kind.FILE && leftOfEntry > 0) {
            if (kind != Kind.HARD_LINK) {
                throw new BadArchive("'%s' is no file and has content".formatted(show(path)));
            }
            // Some write a hard link's size without its content (POSIX.1-2017, pax, "size").
            begin(0);
        }
        return new Entry(
                kind,
                path,
                target,
                (int) number(header, 100, 8) & 07777,
                extended.containsKey("uid") ? decimal(extended, "uid") : number(header, 108, 8),
                extended.containsKey("gid") ? decimal(extended, "gid") : number(header, 116, 8),
                extended.containsKey("mtime") ? seconds(extended) : number(header, 136, 12));
    }

    private byte[] readHeader() throws IOException {
        if (leftOfEntry > MAX_EXTENDED_BYTES - extendedBytes) {
            throw new BadArchive("the extended headers of an entry have more than " + MAX_EXTENDED_BYTES + " bytes");
        }
        extendedBytes += BLOCK_BYTES + (int) leftOfEntry;
        byte[] bytes = in.readNBytes((int) leftOfEntry);
        if (bytes.length < leftOfEntry) {
            throw new EOFException("the archive ends within an extended header");
        }
        leftOfEntry = 0;
        return bytes;
    }

    /** Records of the form {@code LENGTH KEY=VALUE\n}, the length being the whole record's. */
    private void readPax(Map<String, byte[]> extended) throws IOException {
        byte[] bytes = readHeader();
        int at = 0;
        while (at < bytes.length) {
            int space = at;
            while (space < bytes.length && bytes[space] != ' ') {
                space++;
            }
            int length = space - at > 8 ? -1 : parse(new String(bytes, at, space - at, StandardCharsets.US_ASCII));
            if (length <= space - at + 1 || length > bytes.length - at || bytes[at + length - 1] != '\n') {
                throw new BadArchive("an extended header is damaged");
            }
            int equals = space + 1;
            while (equals < at + length && bytes[equals] != '=') {
                equals++;
            }
            if (equals == at + length) {
                throw new BadArchive("an extended header is damaged");
            }
            String key = new String(bytes, space + 1, equals - space - 1, StandardCharsets.UTF_8);
            if (key.startsWith("GNU.sparse")) {
                throw new BadArchive("it has a sparse file, which is not taken");
            }
            if (KEYS.contains(key)) {
                extended.put(key, Arrays.copyOfRange(bytes, equals + 1, at + length - 1));
            }
            at += length;
        }
    }

    private static int parse(String text) {
        return text.matches("[0-9]{1,8}") ? Integer.parseInt(text) : -1;
    }

    private static long decimal(Map<String, byte[]> extended, String key) throws BadArchive {
        String text = new String(extended.getOrDefault(key, new byte[0]), StandardCharsets.US_ASCII);
        if (!text.matches("[0-9]{1,18}")) {
            throw new BadArchive("'" + key + "' of an extended header is no number");
        }
        return Long.parseLong(text);
    }

    /** A time with a fraction, or before 1970, which is taken for 1970. */
    private static long seconds(Map<String, byte[]> extended) throws BadArchive {
        String text = new String(extended.getOrDefault("mtime", new byte[0]), StandardCharsets.US_ASCII);
        if (!text.matches("-?[0-9]{1,11}(\\.[0-9]{0,20})?")) {
            throw new BadArchive("'mtime' of an extended header is no time");
        }
        return text.startsWith("-") ? 0 : Long.parseLong(text.split("\\.", 2)[0]);
    }

    private static byte[] ustarPath(byte[] header) {
        byte[] name = field(header, 0, 100);
        boolean posix = new String(header, 257, 6, StandardCharsets.ISO_8859_1).equals("ustar\0");
        byte[] prefix = posix ? field(header, 345, 155) : new byte[0];
        if (prefix.length == 0) {
            return name;
        }
        ByteArrayOutputStream path = new ByteArrayOutputStream();
        path.writeBytes(prefix);
        path.write('/');
        path.writeBytes(name);
        return path.toByteArray();
    }

    private static byte[] field(byte[] header, int offset, int length) {
        return untilZero(Arrays.copyOfRange(header, offset, offset + length));
    }

    private static byte[] untilZero(byte[] bytes) {
        int length = 0;
        while (length < bytes.length && bytes[length] != 0) {
            length++;
        }
        return Arrays.copyOf(bytes, length);
    }

    /** Octal digits, or GNU tar's big-endian binary whose first bit is set. */
    private static long number(byte[] header, int offset, int length) throws BadArchive {
        if ((header[offset] & 0x80) != 0) {
            long value = header[offset] & 0x7f;
            for (int i = offset + 1; i < offset + length; i++) {
                if (value >>> 55 != 0) {
                    throw new BadArchive("a number in a header is too large");
                }
                value = value << 8 | (header[i] & 0xff);
            }
            return value;
        }
        long value = 0;
        boolean ended = false;
        for (int i = offset; i < offset + length; i++) {
            byte digit = header[i];
            if (digit == 0 || digit == ' ') {
                ended |= value != 0 || digit == 0;
            } else if (digit >= '0' && digit <= '7' && !ended) {
                value = value << 3 | (digit - '0');
            } else {
                throw new BadArchive("a number in a header is damaged");
            }
        }
        return value;
    }

    private static void requireChecksum(byte[] header) throws BadArchive {
        long sum = 0;
        for (int i = 0; i < BLOCK_BYTES; i++) {
            sum += i >= 148 && i < 156 ? ' ' : header[i] & 0xff;
        }
        if (sum != number(header, 148, 8)) {
            throw new BadArchive("a header's checksum is wrong");
        }
    }

    private static boolean isZero(byte[] block) {
        for (byte b : block) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }

    /** A path as one line of text. */
    static String show(byte[] path) {
        String text = new String(path, 0, Math.min(path.length, 200), StandardCharsets.UTF_8);
        return text.replaceAll("\\p{Cntrl}", "?");
    }
}
