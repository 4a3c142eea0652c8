package dev.metacircular.model;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;

/**
 * Volumes whose folder lies in that of another one which may be written to. Whatever runs with the outer one can put a link in the
 * inner one's place, and a runtime follows it at the inner one's next start: then the inner one's component has any folder of the node
 * that the runtime's user has.
 */
public final class NestedVolumes {
    private NestedVolumes() {}

    /**
     * A volume's folder.
     *
     * @param path clean, of whichever root all compared ones have in common
     * @param what the caller's own, to find it again
     */
    public record Place<T>(String path, boolean readOnly, T what) {
        /** As it sorts: what lies in a folder follows it at once. */
        private String key() {
            return (path.endsWith("/") ? path : path + "/").replace('/', '\0');
        }
    }

    /** @param outer may be written to */
    public record Nested<T>(T outer, T inner) {}

    /** Every inner volume once, with one that it lies in; takes time in proportion to what is given, but for sorting it. */
    public static <T> List<Nested<T>> find(Collection<Place<T>> places) {
        List<Nested<T>> found = new ArrayList<>();
        Deque<Place<T>> around = new ArrayDeque<>();
        List<Place<T>> sorted =
                places.stream().sorted(Comparator.comparing(Place::key)).toList();
        for (Place<T> place : sorted) {
            String key = place.key();
            while (!around.isEmpty() && !key.startsWith(around.peek().key())) {
                around.pop();
            }
            around.stream()
                    .filter(outer -> !outer.key().equals(key))
                    .findFirst()
                    .ifPresent(outer -> found.add(new Nested<>(outer.what(), place.what())));
            if (!place.readOnly() && (around.isEmpty() || !around.peek().key().equals(key))) {
                around.push(place);
            }
        }
        return found;
    }
}
