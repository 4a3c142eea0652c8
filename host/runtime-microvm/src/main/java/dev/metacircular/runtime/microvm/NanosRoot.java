package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Image;
import dev.metacircular.image.ImageEntry;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The files of a packed image's workload, laid into an empty folder as {@code ops} takes them: without owners and modes, which Nanos does not have,
 * and without links that lead nowhere, at which {@code ops} ends.
 */
final class NanosRoot {
    /** What the packing adds. */
    private static final Set<String> OURS = Set.of("/kernel", "/manifest", "/adapter");

    private NanosRoot() {}

    /** A name that cannot be laid down; the message says which. */
    static final class BadName extends Exception {
        private static final long serialVersionUID = 1L;

        BadName(String path) {
            super("the name of its file '" + path
                    + "' is none that ops takes: letters of other scripts, control characters or" + " backslashes");
        }
    }

    /** @param root an empty folder of which nobody else knows: what stands in the image becomes names in it, and none leads out of it */
    static void lay(Image image, Path root) throws IOException, BadName {
        List<Path> links = new ArrayList<>();
        // A directory comes before what is in it, and is one: nothing is written through a link.
        for (ImageEntry entry : image.entries()) {
            if (isOurs(entry.path())) {
                continue;
            }
            Path path = path(root, entry.path());
            if (!path.startsWith(root) || !path.normalize().equals(path)) {
                throw new BadName(entry.path());
            }
            switch (entry.kind()) {
                case DIRECTORY -> Files.createDirectory(path);
                case FILE -> {
                    try (InputStream content = image.read(entry)) {
                        Files.copy(content, path);
                    }
                }
                case LINK -> {
                    Files.createSymbolicLink(path, target(root, path, entry));
                    links.add(path);
                }
            }
        }
        // Until none goes: one may have led to another.
        while (links.removeIf(link -> !Files.exists(link) && delete(link))) {}
    }

    private static boolean isOurs(String path) {
        int second = path.indexOf('/', 1);
        return OURS.contains(second < 0 ? path : path.substring(0, second));
    }

    /** In the image's own view: ops looks at links as this machine does. */
    private static Path target(Path root, Path link, ImageEntry entry) throws BadName {
        String target = entry.target().orElse("");
        if (!target.startsWith("/")) {
            return path(Path.of(""), target);
        }
        Path folder = link.getParent();
        Path absolute = path(root, target);
        return folder == null ? absolute : folder.relativize(absolute);
    }

    private static Path path(Path folder, String name) throws BadName {
        try {
            Path path = Path.of(folder.toString(), name);
            if (name.indexOf('\\') < 0) {
                return path;
            }
        } catch (InvalidPathException _) {
            throw new BadName(name);
        }
        throw new BadName(name);
    }

    private static boolean delete(Path link) {
        try {
            return Files.deleteIfExists(link);
        } catch (IOException e) {
            return false;
        }
    }
}
