package dev.metacircular.image;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A capability that a workload may acquire.
 *
 * @param kind what it is about
 * @param extraRights rights beyond those that the kind has by itself
 */
public record Capability(Kind kind, Set<Right> extraRights) {
    /** The kinds of the ABI's {@code cap} namespace. */
    public enum Kind {
        LOG,
        TIME,
        TASK,
        MEM,
        IO,
        IPC,
        NET,
        TRACE;

        /** The kind with this name as the manifest writes it. */
        public static Optional<Kind> named(String name) {
            return Stream.of(values())
                    .filter(kind -> kind.toString().equals(name))
                    .findFirst();
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Extra rights; both belong to {@link Kind#MEM}. */
    public enum Right {
        /** Memory that is writable and executable at once. */
        EXEC_WRITE,
        /** Memory that stays in place. */
        PIN;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }

    public Capability {
        extraRights = Set.copyOf(extraRights);
        if (!extraRights.isEmpty() && kind != Kind.MEM) {
            throw new ImageException("Capability '%s' has no extra rights; only 'mem' has.".formatted(kind));
        }
    }

    /** A kind with the rights that it has by itself. */
    public static Capability of(Kind kind) {
        return new Capability(kind, Set.of());
    }

    /** The capability with this text form, as in {@code mem:exec-write,pin}. */
    public static Capability parse(String text) {
        int colon = text.indexOf(':');
        String kindName = colon < 0 ? text : text.substring(0, colon);
        Kind kind = Kind.named(kindName)
                .orElseThrow(() -> new ImageException("'%s' is not a kind of capability: the kinds are %s."
                        .formatted(
                                kindName,
                                Stream.of(Kind.values()).map(Kind::toString).collect(Collectors.joining(", ")))));
        Set<Right> rights = EnumSet.noneOf(Right.class);
        if (colon >= 0) {
            for (String name : text.substring(colon + 1).split(",", -1)) {
                rights.add(Stream.of(Right.values())
                        .filter(right -> right.toString().equals(name))
                        .findFirst()
                        .orElseThrow(() -> new ImageException(
                                "'%s' is not a right of 'mem': the rights are exec-write and pin.".formatted(name))));
            }
        }
        return new Capability(kind, rights);
    }

    @Override
    public String toString() {
        List<String> rights = new ArrayList<>();
        for (Right right : Right.values()) {
            if (extraRights.contains(right)) {
                rights.add(right.toString());
            }
        }
        return rights.isEmpty() ? kind.toString() : kind + ":" + String.join(",", rights);
    }
}
