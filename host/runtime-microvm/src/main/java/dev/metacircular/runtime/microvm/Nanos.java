package dev.metacircular.runtime.microvm;

import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.vm.CarriedVm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * NanoVMs' {@code ops}, and the release of Nanos that it has fetched. That it can build is tried once, and again when a file of it has changed:
 * neither its exit status nor its being there says so.
 */
final class Nanos {
    private static final Duration TRIAL_LIMIT = Duration.ofSeconds(15);
    /** What keeps it from building may have been mended after this. */
    private static final Duration FAILURE_KEPT = Duration.ofSeconds(30);

    private static final Pattern VERSION = Pattern.compile("[0-9]{1,6}(\\.[0-9]{1,6}){1,3}");
    private static final String ELSE = "; or use kernel = \"ukernel\"";

    private final String searchPath;
    private final Path folder;
    private volatile Optional<Trial> last = Optional.empty();

    /**
     * @param searchPath where {@code ops} is looked for, besides its home
     * @param home what holds its {@code .ops}
     */
    Nanos(String searchPath, Path home) {
        this.searchPath = searchPath;
        this.folder = home.resolve(".ops");
    }

    /**
     * What builds and boots.
     *
     * @param stamp differs when one of the files does
     */
    record Release(Path ops, String version, Path kernel, Path boot, String stamp) {}

    /** Says what is missing. */
    private static final class Lacking extends Exception {
        private static final long serialVersionUID = 1L;

        Lacking(String what) {
            super(what, null, false, false);
        }
    }

    /** @param fault empty where an image came of it */
    private record Trial(String stamp, Instant at, Optional<String> fault) {
        boolean holds(Release release) {
            return stamp.equals(release.stamp())
                    && (fault.isEmpty() || Instant.now().isBefore(at.plus(FAILURE_KEPT)));
        }
    }

    /** For people, such as {@code nanos 0.1.55}; empty where something is missing or is known not to work. */
    Optional<String> title() {
        try {
            Release found = find();
            return last.filter(t -> t.holds(found) && t.fault().isPresent()).isPresent()
                    ? Optional.empty()
                    : Optional.of("nanos " + found.version());
        } catch (Lacking _) {
            return Optional.empty();
        }
    }

    /** Why no image for Nanos can be built here, and what mends it. */
    Optional<String> refusal() {
        try {
            Release found = find();
            return trial(found).fault().map(why -> why(found, why));
        } catch (Lacking e) {
            return Optional.of("kernel = \"nanos\" needs " + e.getMessage() + ELSE);
        }
    }

    /** @throws RuntimeFailure {@code UNSUPPORTED} with what {@link #refusal} says */
    Release require() {
        try {
            Release found = find();
            Optional<String> fault = trial(found).fault();
            if (fault.isPresent()) {
                throw new RuntimeFailure(Kind.UNSUPPORTED, why(found, fault.get()));
            }
            return found;
        } catch (Lacking e) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, "kernel = \"nanos\" needs " + e.getMessage() + ELSE, e);
        }
    }

    private static String why(Release release, String fault) {
        return "kernel = \"nanos\" needs " + release.ops() + ", which cannot build an image here: " + fault + ELSE;
    }

    private Release find() throws Lacking {
        Path own = folder.resolve("bin/ops");
        Path ops = CarriedVm.findIn(searchPath, "ops")
                .or(() -> Optional.of(own).filter(Files::isExecutable))
                .orElseThrow(() -> new Lacking(
                        "NanoVMs' ops (https://ops.city), which is neither on the agent's search path nor " + own));
        String version = version();
        Path release = folder.resolve(version);
        Path kernel = file(release, "kernel.img");
        Path boot = file(release, "boot.img");
        try {
            return new Release(ops, version, kernel, boot, stamp(ops) + stamp(kernel) + stamp(boot));
        } catch (IOException e) {
            throw new Lacking("files of " + release + " and " + ops + ", which cannot be read: " + e.getMessage());
        }
    }

    private String version() throws Lacking {
        Path file = folder.resolve("latest.txt");
        try {
            String text = Files.readString(file).strip();
            if (VERSION.matcher(text).matches()) {
                return text;
            }
            throw new Lacking("a release of Nanos, and " + file + " does not tell which ops has fetched: ops update");
        } catch (IOException e) {
            throw new Lacking("a release of Nanos, and " + file
                    + " of ops cannot be read (is ops_home below [microvm] right?): as the agent's user: ops update");
        }
    }

    private static Path file(Path release, String name) throws Lacking {
        Path file = release.resolve(name);
        if (!Files.isReadable(file) || !Files.isRegularFile(file)) {
            throw new Lacking(file + " of ops, which is not there or cannot be read: as the agent's user: ops update");
        }
        return file;
    }

    private static String stamp(Path file) throws IOException {
        return file + " " + Files.size(file) + " "
                + Files.getLastModifiedTime(file).toMillis() + " ";
    }

    private synchronized Trial trial(Release release) {
        Optional<Trial> known = last.filter(t -> t.holds(release));
        if (known.isPresent()) {
            return known.get();
        }
        Trial made = new Trial(release.stamp(), Instant.now(), fault(release));
        last = Optional.of(made);
        return made;
    }

    private static Optional<String> fault(Release release) {
        try {
            Path work = Files.createTempDirectory("metacircular-ops");
            try {
                OpsBuild build = new OpsBuild(work, TRIAL_LIMIT);
                Files.write(build.root().resolve("trial"), OpsBuild.STAND_IN);
                build.run(release, new OpsBuild.Program("/trial", List.of("/trial"), Map.of(), "/"));
                return Optional.empty();
            } finally {
                FileTree.delete(work);
            }
        } catch (OpsBuild.Failed | IOException e) {
            return Optional.of(String.valueOf(e.getMessage()));
        }
    }
}
