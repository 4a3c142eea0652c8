package dev.metacircular.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads a folder of the host into a tree of nodes. File contents stay where they are until an image is written. */
public final class SourceTree {
    /** What becomes of the permission bits of a folder's files. */
    public enum Permissions {
        /** As they are on disk. */
        KEEP,
        /**
         * 0755 for directories and for files that their owner may execute, 0644 for other files: independent of the umask of
         * whoever made them.
         */
        NORMAL
    }

    private static final int S_IFMT = 0170000;
    private static final int S_IFREG = 0100000;
    private static final int S_IFDIR = 0040000;
    private static final int S_IFLNK = 0120000;
    private static final int OWNER_EXECUTE = 0100;

    private final Permissions permissions;
    private final Map<List<String>, Node> linked = new HashMap<>();

    private SourceTree(Permissions permissions) {
        this.permissions = permissions;
    }

    /**
     * The tree below {@code folder}, owned by root and without times. Hard links inside it stay hard links. Two folders with the
     * same content give the same tree, whatever their path and the process's locale.
     *
     * @throws ImageException if a file cannot be read, or is a device, pipe or socket
     */
    public static Node.Directory read(Path folder, Permissions permissions) {
        return new SourceTree(permissions).readAll(folder.toAbsolutePath());
    }

    private record Pending(Path path, Node.Directory directory) {}

    private Node.Directory readAll(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new ImageException("'%s' is not a folder: there is nothing to put into the image.".formatted(folder));
        }
        Path current = folder;
        try {
            Deque<Pending> pending = new ArrayDeque<>();
            Node.Directory root = new Node.Directory(attributes(unixMode(folder)));
            pending.push(new Pending(folder, root));
            while (!pending.isEmpty()) {
                Pending next = pending.pop();
                for (Path child : children(next.path())) {
                    current = child;
                    Node node = read(child);
                    next.directory().add(name(child), node);
                    if (node instanceof Node.Directory directory) {
                        pending.push(new Pending(child, directory));
                    }
                }
            }
            return root;
        } catch (IOException e) {
            throw new ImageException(
                    "Cannot read '%s' for the image: %s. Make it readable, or take it out of the folder."
                            .formatted(current, reason(e)),
                    e);
        }
    }

    private static List<Path> children(Path folder) throws IOException {
        List<Path> children = new ArrayList<>();
        try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder)) {
            for (Path child : stream) {
                children.add(child);
            }
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        return children;
    }

    private Node read(Path path) throws IOException {
        Map<String, Object> unix = Files.readAttributes(path, "unix:mode,nlink,ino,dev", LinkOption.NOFOLLOW_LINKS);
        int mode = number(unix, "mode");
        int type = mode & S_IFMT;
        if (type == S_IFDIR) {
            return new Node.Directory(attributes(mode));
        }
        boolean severalNames = number(unix, "nlink") > 1;
        List<String> key = List.of(String.valueOf(unix.get("dev")), String.valueOf(unix.get("ino")));
        Node known = severalNames ? linked.get(key) : null;
        if (known != null) {
            return known;
        }
        Node node = switch (type) {
            case S_IFREG -> new Node.RegularFile(attributes(mode), Content.of(path));
            case S_IFLNK -> new Node.SymbolicLink(Attributes.of(0777), target(path));
            default ->
                throw new ImageException(
                        ("'%s' is a device, pipe or socket, and an image holds only files, folders and symbolic links:"
                                        + " take it out of the folder.")
                                .formatted(path));
        };
        if (severalNames) {
            linked.put(key, node);
        }
        return node;
    }

    private static int number(Map<String, Object> attributes, String name) {
        return attributes.get(name) instanceof Integer number ? number : 0;
    }

    private static int unixMode(Path path) throws IOException {
        return (Integer) Files.getAttribute(path, "unix:mode");
    }

    private Attributes attributes(int mode) {
        return switch (permissions) {
            case KEEP -> Attributes.of(mode & 07777);
            case NORMAL -> Attributes.of((mode & S_IFMT) == S_IFDIR || (mode & OWNER_EXECUTE) != 0 ? 0755 : 0644);
        };
    }

    private static FileName name(Path path) {
        Path last = path.getFileName();
        String text = last.toString();
        return isPrintableAscii(text) ? FileName.of(text) : FileName.of(rawBytes(last));
    }

    private static byte[] target(Path link) throws IOException {
        Path target = Files.readSymbolicLink(link);
        String text = target.toString();
        if (isPrintableAscii(text)) {
            return text.getBytes(StandardCharsets.US_ASCII);
        }
        return rawBytes(target);
    }

    private static boolean isPrintableAscii(String text) {
        return text.chars().allMatch(c -> c >= 0x20 && c < 0x7f);
    }

    /**
     * A path's own bytes. Its text depends on the locale of the process and may have lost some; its URI has every byte, percent
     * encoded, and a slash more when a folder stands there.
     */
    private static byte[] rawBytes(Path path) {
        byte[] whole = percentDecoded(Path.of("/").resolve(path).toUri().getRawPath());
        boolean slashAdded = whole[whole.length - 1] == '/' && !path.toString().endsWith("/");
        return Arrays.copyOfRange(whole, path.isAbsolute() ? 0 : 1, slashAdded ? whole.length - 1 : whole.length);
    }

    private static byte[] percentDecoded(String encoded) {
        byte[] bytes = new byte[encoded.length()];
        int length = 0;
        for (int i = 0; i < encoded.length(); i++) {
            char c = encoded.charAt(i);
            if (c == '%') {
                bytes[length++] = (byte) Integer.parseInt(encoded, i + 1, i + 3, 16);
                i += 2;
            } else {
                bytes[length++] = (byte) c;
            }
        }
        return Arrays.copyOf(bytes, length);
    }

    private static String reason(IOException e) {
        String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : message;
    }
}
