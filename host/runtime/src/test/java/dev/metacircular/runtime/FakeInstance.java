package dev.metacircular.runtime;

import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.PortMapping;
import dev.metacircular.runtime.FakeProcess.Line;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** One instance of a {@link FakeRuntime}; guarded by that runtime's lock, but for its log. */
final class FakeInstance {
    /** The exit status of what is ended by force, as a shell tells it: 128 + SIGKILL. */
    static final int KILLED = 137;

    final InstanceId id;
    final Optional<InstanceSpec> spec;
    final String image;
    final String imageId;
    final Instant createdAt = Instant.now();
    final List<Line> log = new ArrayList<>();
    String name;
    /** Whether it bears the labels of its specification's identity. */
    boolean labelled = true;

    InstanceState state = new InstanceState.Created();

    @Nullable
    FakeProcess process;

    @Nullable
    Thread thread;

    FakeInstance(InstanceId id, String name, Optional<InstanceSpec> spec, String image, String imageId) {
        this.id = id;
        this.name = name;
        this.spec = spec;
        this.image = image;
        this.imageId = imageId;
    }

    Optional<Identity> identity() {
        return spec.filter(_ -> labelled).map(InstanceSpec::identity);
    }

    List<PortMapping> ports() {
        return spec.map(s -> s.component().ports()).orElse(List.of());
    }

    boolean isRunning() {
        return state instanceof InstanceState.Running;
    }

    Instance view() {
        boolean setAside =
                identity().map(i -> !i.component().canonicalName().equals(name)).orElse(false);
        return new Instance(id, name, identity(), image, imageId, state, createdAt, ports(), setAside);
    }
}
