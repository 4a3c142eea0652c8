package dev.metacircular.runtime.microvm;

import java.nio.file.Path;
import java.util.Optional;

/**
 * The real {@code ops} and the release of Nanos that it has fetched, where the environment names them.
 *
 * @param ops {@code OPS}: the program, which is called {@code ops}
 * @param home {@code OPS_HOME}: the folder with its {@code .ops}
 */
record NanosTools(Path ops, Path home) {
    static final String NOT_RUN = "OPS and OPS_HOME do not name NanoVMs' ops and a home with a release of Nanos";

    static Optional<NanosTools> named() {
        return Optional.ofNullable(System.getenv("OPS"))
                .flatMap(ops -> Optional.ofNullable(System.getenv("OPS_HOME"))
                        .map(home -> new NanosTools(Path.of(ops), Path.of(home))));
    }

    /** To stand before that of the node. */
    String searchPath() {
        return ops.toAbsolutePath().getParent() + ":";
    }
}
