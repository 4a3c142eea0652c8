package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What containers mount of the node. Podman keeps the paths and looks anew at each start what lies there, and follows a link that
 * was put in a folder's place since; then the container would have whatever folder the link means.
 */
final class MountSources {
    /** More containers than a node has; one that is forgotten is asked for again. */
    private static final int KNOWN = 4_096;

    private final Containers containers;
    private final Map<InstanceId, List<Path>> known = Collections.synchronizedMap(new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<InstanceId, List<Path>> eldest) {
            return size() > KNOWN;
        }
    });

    MountSources(Containers containers) {
        this.containers = containers;
    }

    void created(InstanceId id, List<InstanceSpec.Mount> mounts) {
        known.put(id, mounts.stream().map(InstanceSpec.Mount::source).toList());
    }

    void removed(InstanceId id) {
        known.remove(id);
    }

    /**
     * Refuses a start where a mounted path is not what it was when the container was made. Containers that this system did not make
     * are let pass: their maker may have meant the links.
     *
     * @throws RuntimeFailure {@code CONFLICT}
     */
    void requireUnmoved(InstanceId id) {
        List<Path> sources = known.get(id);
        if (sources == null) {
            sources = ask(id);
            known.put(id, sources);
        }
        for (Path source : sources) {
            requireUnmoved(id, source);
        }
    }

    private List<Path> ask(InstanceId id) {
        JsonNode container = containers.inspect("start " + Containers.shortly(id), id);
        List<Path> sources = new ArrayList<>();
        if (container.path("Config").path("Labels").has(Labels.NODE)) {
            for (JsonNode mount : container.path("Mounts")) {
                if (mount.path("Type").asText("").equals("bind")) {
                    sources.add(Path.of(mount.path("Source").asText("")));
                }
            }
        }
        return List.copyOf(sources);
    }

    private void requireUnmoved(InstanceId id, Path source) {
        Path real;
        try {
            real = source.toRealPath();
        } catch (NoSuchFileException e) {
            // Podman says so itself.
            return;
        } catch (IOException e) {
            throw new RuntimeFailure(
                    Kind.FAILED,
                    "cannot start " + containers.name(id) + ": its volume " + source + " cannot be resolved: "
                            + OneLine.of(e.getClass().getSimpleName() + " " + e.getMessage()),
                    e);
        }
        if (!real.equals(source)) {
            throw new RuntimeFailure(
                    Kind.CONFLICT,
                    "cannot start " + containers.name(id) + ": its volume " + source + " leads to " + real
                            + " now, by a link" + "; put the folder itself back there, or mount it there");
        }
    }
}
