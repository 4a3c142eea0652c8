package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Attributes;
import dev.metacircular.image.Content;
import dev.metacircular.image.FileName;
import dev.metacircular.image.Node;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The root file system that the layers of an image make, in memory but for the files' contents. Names lead through symbolic links as
 * they would inside it, and never out of it.
 */
final class RootTree {
    /** As many symbolic links as Linux follows in one name. */
    private static final int MAX_LINKS = 40;

    /** Of all names and all links' targets: what is held in memory besides the entries themselves. */
    private static final int MAX_TEXT_BYTES = 4 << 20;

    private final int maxEntries;
    private final int maxDepth;
    private final Folder root = new Folder(Attributes.of(0755), 0);
    private int entries;
    private int textBytes;

    RootTree(int maxEntries, int maxDepth) {
        this.maxEntries = maxEntries;
        this.maxDepth = maxDepth;
    }

    /** A fault of the image's. */
    static final class BadTree extends RuntimeException {
        private static final long serialVersionUID = 1L;

        BadTree(String message) {
            super(message);
        }
    }

    /** What stands under a name. The same object under two names is a file with two names. */
    private sealed interface Entry {}

    private static final class Folder implements Entry {
        private final SortedMap<FileName, Held> held = new TreeMap<>();
        private final int depth;
        private Attributes attributes;

        Folder(Attributes attributes, int depth) {
            this.attributes = attributes;
            this.depth = depth;
        }
    }

    private record Leaf(Node node) implements Entry {}

    /** @param layer the last one that said something of it, counted from 1 */
    private record Held(Entry entry, int layer) {}

    /** A file, and the name that leads to it without symbolic links. */
    record Found(Content content, int mode, String path) {}

    /** A path's steps, an empty one upwards; {@code .} and empty parts are left out. */
    private static List<Optional<FileName>> steps(byte[] path) {
        List<Optional<FileName>> steps = new ArrayList<>();
        int from = 0;
        for (int at = 0; at <= path.length; at++) {
            if (at == path.length || path[at] == '/') {
                byte[] part = Arrays.copyOfRange(path, from, at);
                from = at + 1;
                boolean dots = part.length > 0 && part.length <= 2 && part[0] == '.' && part[part.length - 1] == '.';
                if (dots && part.length == 2) {
                    steps.add(Optional.empty());
                } else if (part.length > 0 && !dots) {
                    steps.add(Optional.of(FileName.of(part)));
                }
            }
        }
        return steps;
    }

    /** The names of a path in an archive, which may not lead upwards. */
    static List<FileName> names(byte[] path) {
        return steps(path).stream()
                .map(step -> step.orElseThrow(() -> new BadTree("'%s' leads upwards".formatted(TarReader.show(path)))))
                .toList();
    }

    /** The folder's attributes; its entries stay. What else stood there goes. */
    void folder(List<FileName> path, Attributes attributes, int layer) {
        if (path.isEmpty()) {
            root.attributes = attributes;
            return;
        }
        Folder parent = parent(path, layer);
        FileName name = path.getLast();
        Held before = parent.held.get(name);
        if (before != null && before.entry() instanceof Folder folder) {
            folder.attributes = attributes;
            parent.held.put(name, new Held(folder, layer));
        } else {
            put(parent, name, newFolder(attributes, parent), layer);
        }
    }

    /** A file or a symbolic link, instead of whatever stood there. */
    void put(List<FileName> path, Node node, int layer) {
        if (path.isEmpty()) {
            throw new BadTree("the root is no directory");
        }
        Folder parent = parent(path, layer);
        put(parent, path.getLast(), new Leaf(node), layer);
    }

    /** Another name for a file that is there. */
    void link(List<FileName> path, List<FileName> target, int layer) {
        Entry entry = null;
        if (!target.isEmpty()) {
            Folder parent = parent(target, layer);
            Held held = parent.held.get(target.getLast());
            entry = held == null ? null : held.entry();
        }
        if (!(entry instanceof Leaf leaf)) {
            throw new BadTree("'%s' is another name of '%s', which is not there".formatted(show(path), show(target)));
        }
        put(path, leaf.node(), layer);
    }

    /** Takes away what layers below have under this name. */
    void whiteOut(List<FileName> path, int layer) {
        Folder parent = parent(path, layer);
        Held held = parent.held.get(path.getLast());
        if (held == null) {
            return;
        }
        if (held.layer() < layer) {
            remove(parent, path.getLast());
        } else if (held.entry() instanceof Folder folder) {
            prune(folder, layer);
        }
    }

    /** Takes away what layers below have in this folder. */
    void whiteOutContent(List<FileName> path, int layer) {
        Folder folder = root;
        if (!path.isEmpty()) {
            Folder parent = parent(path, layer);
            Held held = parent.held.get(path.getLast());
            if (held == null || !(held.entry() instanceof Folder found)) {
                return;
            }
            folder = found;
        }
        prune(folder, layer);
    }

    private void prune(Folder folder, int layer) {
        Deque<Folder> pending = new ArrayDeque<>(List.of(folder));
        while (!pending.isEmpty()) {
            Folder next = pending.pop();
            for (FileName name : List.copyOf(next.held.keySet())) {
                Held held = next.held.get(name);
                if (held != null && held.layer() < layer) {
                    remove(next, name);
                } else if (held != null && held.entry() instanceof Folder below) {
                    pending.push(below);
                }
            }
        }
    }

    private void put(Folder parent, FileName name, Entry entry, int layer) {
        remove(parent, name);
        if (++entries > maxEntries) {
            throw new BadTree("it has more than " + maxEntries + " files");
        }
        textBytes += text(name, entry);
        if (textBytes > MAX_TEXT_BYTES) {
            throw new BadTree(
                    "the names of its files and the targets of its links have more than " + MAX_TEXT_BYTES + " bytes");
        }
        parent.held.put(name, new Held(entry, layer));
    }

    private void remove(Folder parent, FileName name) {
        Held held = parent.held.remove(name);
        if (held == null) {
            return;
        }
        entries--;
        textBytes -= text(name, held.entry());
        Deque<Entry> pending = new ArrayDeque<>(List.of(held.entry()));
        while (!pending.isEmpty()) {
            if (pending.pop() instanceof Folder folder) {
                entries -= folder.held.size();
                folder.held.forEach((below, one) -> {
                    textBytes -= text(below, one.entry());
                    pending.push(one.entry());
                });
            }
        }
    }

    private static int text(FileName name, Entry entry) {
        int target = entry instanceof Leaf(Node.SymbolicLink link) ? link.targetBytes() : 0;
        return name.sizeBytes() + target;
    }

    private Folder newFolder(Attributes attributes, Folder parent) {
        if (parent.depth >= maxDepth) {
            throw new BadTree("it has folders more than " + maxDepth + " deep");
        }
        return new Folder(attributes, parent.depth + 1);
    }

    /** The folder that the last name stands in, made where it is missing. */
    private Folder parent(List<FileName> path, int layer) {
        Deque<Optional<FileName>> left = new ArrayDeque<>();
        path.subList(0, path.size() - 1).forEach(name -> left.addLast(Optional.of(name)));
        Deque<Folder> way = new ArrayDeque<>(List.of(root));
        int links = 0;
        while (!left.isEmpty()) {
            Optional<FileName> step = left.pop();
            if (step.isEmpty()) {
                up(way);
                continue;
            }
            FileName name = step.get();
            Folder here = way.getFirst();
            Held held = here.held.get(name);
            switch (held == null ? null : held.entry()) {
                case null -> {
                    Folder made = newFolder(Attributes.of(0755), here);
                    put(here, name, made, layer);
                    way.push(made);
                }
                case Folder folder -> {
                    // A folder that a layer puts something into is no longer the lower layers' alone.
                    here.held.put(name, new Held(folder, layer));
                    way.push(folder);
                }
                case Leaf leaf
                when leaf.node() instanceof Node.SymbolicLink link -> {
                    if (++links > MAX_LINKS) {
                        throw new BadTree("'%s' leads through more than %d links".formatted(show(path), MAX_LINKS));
                    }
                    follow(link, left, way);
                }
                case Leaf _ -> throw new BadTree("'%s' leads through a file".formatted(show(path)));
            }
        }
        return way.getFirst();
    }

    /** {@code ..} at the root stays there, as in a system of its own. */
    private static void up(Deque<Folder> way) {
        if (way.size() > 1) {
            way.pop();
        }
    }

    /** Puts the link's target before what is left. */
    private void follow(Node.SymbolicLink link, Deque<Optional<FileName>> left, Deque<Folder> way) {
        byte[] target = link.target();
        if (target[0] == '/') {
            way.clear();
            way.push(root);
        }
        steps(target).reversed().forEach(left::push);
    }

    /**
     * The file that a name leads to.
     *
     * @param path absolute
     * @return empty if there is no regular file
     */
    Optional<Found> find(String path) {
        Deque<Optional<FileName>> left = new ArrayDeque<>(steps(path.getBytes(StandardCharsets.UTF_8)));
        Deque<Folder> way = new ArrayDeque<>(List.of(root));
        Deque<FileName> names = new ArrayDeque<>();
        int links = 0;
        while (!left.isEmpty()) {
            Optional<FileName> step = left.pop();
            if (step.isEmpty()) {
                up(way);
                names.pollLast();
                continue;
            }
            Held held = way.getFirst().held.get(step.get());
            switch (held == null ? null : held.entry()) {
                case null -> {
                    return Optional.empty();
                }
                case Folder folder -> {
                    way.push(folder);
                    names.addLast(step.get());
                }
                case Leaf leaf -> {
                    switch (leaf.node()) {
                        case Node.RegularFile file -> {
                            names.addLast(step.get());
                            return left.isEmpty() ? found(file, names) : Optional.empty();
                        }
                        case Node.SymbolicLink link -> {
                            if (++links > MAX_LINKS) {
                                return Optional.empty();
                            }
                            if (link.target()[0] == '/') {
                                names.clear();
                            }
                            follow(link, left, way);
                        }
                        case Node.Directory _ -> throw new IllegalStateException("a folder is no leaf");
                    }
                }
            }
        }
        return Optional.empty();
    }

    private static Optional<Found> found(Node.RegularFile file, Deque<FileName> names) {
        StringBuilder path = new StringBuilder();
        for (FileName name : names) {
            String text = new String(name.bytes(), StandardCharsets.UTF_8);
            if (!FileName.of(text).equals(name)) {
                return Optional.empty();
            }
            path.append('/').append(text);
        }
        return Optional.of(new Found(file.content(), file.attributes().mode(), path.toString()));
    }

    /** Makes a folder, and those above it, where there is none; a name leads through symbolic links. */
    void ensureFolder(String path) {
        List<FileName> names = new ArrayList<>(names(path.getBytes(StandardCharsets.UTF_8)));
        // The name of something in it: all that is before that is made.
        names.add(FileName.of("x"));
        parent(names, Integer.MAX_VALUE);
    }

    /** All of it, as an image takes it. */
    Node.Directory toNode() {
        record Pending(Folder folder, Node.Directory node) {}
        Node.Directory whole = new Node.Directory(root.attributes);
        Deque<Pending> pending = new ArrayDeque<>(List.of(new Pending(root, whole)));
        while (!pending.isEmpty()) {
            Pending next = pending.pop();
            next.folder().held.forEach((name, held) -> {
                switch (held.entry()) {
                    case Leaf leaf -> next.node().add(name, leaf.node());
                    case Folder folder -> {
                        Node.Directory node = new Node.Directory(folder.attributes);
                        next.node().add(name, node);
                        pending.push(new Pending(folder, node));
                    }
                }
            });
        }
        return whole;
    }

    private static String show(List<FileName> path) {
        return String.join("/", path.stream().map(FileName::toString).toList());
    }
}
