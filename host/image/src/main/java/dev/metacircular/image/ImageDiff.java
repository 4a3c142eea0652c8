package dev.metacircular.image;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;

/** What differs between two images, and what that means for whoever runs the second instead of the first. */
public final class ImageDiff {
    private static final int BUFFER_BYTES = 1 << 16;

    private ImageDiff() {}

    /**
     * One difference.
     *
     * @param subject what differs: a key of the manifest, or a path
     * @param change how, in a few words
     * @param meaning why it matters, a sentence
     */
    public record Difference(String subject, String change, String meaning) {}

    /** All differences, those of the manifest first, then those of files in the order of their paths. */
    public static List<Difference> between(Image before, Image after) {
        List<Difference> differences = new ArrayList<>();
        manifests(before.manifest(), after.manifest(), differences);
        files(before, after, differences);
        return differences;
    }

    private static void manifests(Manifest before, Manifest after, List<Difference> out) {
        value(out, "name", before.name(), after.name(), "It is another workload.");
        value(
                out,
                "abi",
                before.abi(),
                after.abi(),
                "A kernel with another major version, or a lower minor one, refuses to start it.");
        value(out, "adapter", before.adapter(), after.adapter(), "Another layer stands between program and kernel.");
        value(out, "start", before.start(), after.start(), "The kernel enters another program.");
        value(out, "entry", before.entry(), after.entry(), "Another program runs.");
        value(out, "arguments", before.arguments(), after.arguments(), "The program is told something else.");
        Set<String> names = new LinkedHashSet<>(before.environment().keySet());
        names.addAll(after.environment().keySet());
        for (String name : names) {
            String was = before.environment().get(name);
            String is = after.environment().get(name);
            if (!Objects.equals(was, is)) {
                String change = was == null ? "added" : is == null ? "removed" : "changed";
                out.add(new Difference("env " + name, change, "The program sees another environment."));
            }
        }
        members(
                out,
                "capability",
                before.capabilities().stream().map(Capability::toString).toList(),
                after.capabilities().stream().map(Capability::toString).toList(),
                "The workload may do more than before.",
                "A workload that asks for it is refused.");
    }

    private static void value(List<Difference> out, String subject, Object was, Object is, String meaning) {
        if (!was.equals(is)) {
            out.add(new Difference(subject, was + " → " + is, meaning));
        }
    }

    private static void members(
            List<Difference> out,
            String subject,
            Collection<String> was,
            Collection<String> is,
            String addedMeans,
            String removedMeans) {
        for (String member : is) {
            if (!was.contains(member)) {
                out.add(new Difference(subject + " " + member, "added", addedMeans));
            }
        }
        for (String member : was) {
            if (!is.contains(member)) {
                out.add(new Difference(subject + " " + member, "removed", removedMeans));
            }
        }
    }

    private static void files(Image before, Image after, List<Difference> out) {
        Map<String, ImageEntry> was = byPath(before);
        Map<String, ImageEntry> is = byPath(after);
        Map<String, ImageEntry> all = new TreeMap<>(was);
        all.putAll(is);
        for (String path : all.keySet()) {
            ImageEntry old = was.get(path);
            ImageEntry now = is.get(path);
            if (path.equals("/manifest")) {
                continue;
            }
            if (old == null) {
                out.add(new Difference(path, "added", meaning(path)));
            } else if (now == null) {
                out.add(new Difference(path, "removed", meaning(path)));
            } else {
                List<String> changes = changes(before, old, after, now);
                if (!changes.isEmpty()) {
                    out.add(new Difference(path, String.join(", ", changes), meaning(path)));
                }
            }
        }
    }

    private static Map<String, ImageEntry> byPath(Image image) {
        Map<String, ImageEntry> entries = new LinkedHashMap<>();
        image.walk(entry -> entries.put(entry.path(), entry));
        return entries;
    }

    private static String meaning(String path) {
        if (path.equals("/kernel")) {
            return "It boots another kernel.";
        }
        return path.startsWith("/adapter/") ? "Another adapter serves the program." : "The workload's files differ.";
    }

    private static List<String> changes(Image before, ImageEntry old, Image after, ImageEntry now) {
        List<String> changes = new ArrayList<>();
        if (old.kind() != now.kind()) {
            changes.add(old.kind() + " → " + now.kind());
            return changes;
        }
        if (old.mode() != now.mode()) {
            changes.add("mode %04o → %04o".formatted(old.mode(), now.mode()));
        }
        if (old.uid() != now.uid() || old.gid() != now.gid()) {
            changes.add("owner %d:%d → %d:%d".formatted(old.uid(), old.gid(), now.uid(), now.gid()));
        }
        if (!old.modified().equals(now.modified())) {
            changes.add("time " + old.modified() + " → " + now.modified());
        }
        switch (now.kind()) {
            case FILE -> {
                if (old.links() != now.links()) {
                    changes.add("%d → %d names".formatted(old.links(), now.links()));
                }
                if (old.sizeBytes() != now.sizeBytes()) {
                    changes.add("%d → %d bytes".formatted(old.sizeBytes(), now.sizeBytes()));
                } else if (!sameContent(before, old, after, now)) {
                    changes.add("content, still %d bytes".formatted(now.sizeBytes()));
                }
            }
            case LINK -> {
                if (!old.target().equals(now.target())) {
                    changes.add("leads to " + now.target().orElse("") + ", was "
                            + old.target().orElse(""));
                }
            }
            case DIRECTORY -> {}
        }
        return changes;
    }

    private static boolean sameContent(Image before, ImageEntry old, Image after, ImageEntry now) {
        try (InputStream left = before.read(old);
                InputStream right = after.read(now)) {
            byte[] leftBytes = new byte[BUFFER_BYTES];
            byte[] rightBytes = new byte[BUFFER_BYTES];
            while (true) {
                int leftRead = left.readNBytes(leftBytes, 0, BUFFER_BYTES);
                int rightRead = right.readNBytes(rightBytes, 0, BUFFER_BYTES);
                if (!Arrays.equals(leftBytes, 0, leftRead, rightBytes, 0, rightRead)) {
                    return false;
                }
                if (leftRead < BUFFER_BYTES) {
                    return true;
                }
            }
        } catch (IOException e) {
            throw new ImageException("Cannot compare '%s': %s.".formatted(now.path(), ImageWriter.reason(e)), e);
        }
    }
}
