package dev.metacircular.ukernel;

import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** What a workload is written in. */
enum Language {
    C,
    ZIG,
    PYTHON,
    GO,
    TYPESCRIPT,
    JAVA,
    RUST,
    OCI;

    /** Whether this version builds it. */
    boolean isBuilt() {
        return this == C || this == ZIG;
    }

    /** The adapter that carries it where a project names none. */
    String adapter() {
        return switch (this) {
            case C, ZIG, RUST -> "native";
            case OCI -> "linux";
            case PYTHON, GO, TYPESCRIPT, JAVA -> toString();
        };
    }

    static Optional<Language> named(String name) {
        return Stream.of(values())
                .filter(language -> language.toString().equals(name))
                .findFirst();
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
