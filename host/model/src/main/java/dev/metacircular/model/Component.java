package dev.metacircular.model;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * What a service definition says of one component. The desired state is apart ({@link Service}), so that stopping and
 * starting do not change what an instance was made from.
 *
 * @param network a shared network besides the service's own
 * @param env {@code NAME=VALUE}, in the file's order
 * @param secrets names of secrets, given to the component as environment variables of that name
 * @param hold how long it must run to count as started where there is no health check
 */
public record Component(
        Name name,
        RuntimeKind runtime,
        Optional<Kernel> kernel,
        ImageRef image,
        Optional<Name> network,
        Optional<String> user,
        RestartPolicy restart,
        List<PortMapping> ports,
        List<Volume> volumes,
        List<String> command,
        List<String> env,
        List<String> secrets,
        OptionalInt memoryMb,
        OptionalDouble cpus,
        OptionalInt vcpus,
        Optional<HealthCheck> health,
        Duration hold) {
    /** The default of {@code hold_s}. */
    public static final Duration DEFAULT_HOLD = Duration.ofSeconds(2);

    public Component {
        ports = List.copyOf(ports);
        volumes = List.copyOf(volumes);
        command = List.copyOf(command);
        env = List.copyOf(env);
        secrets = List.copyOf(secrets);
    }

    /** A builder with every default of the definition file. */
    public static Builder builder(String name, String image) {
        return new Builder(Name.of(name), ImageRef.parse(image));
    }

    /** Whether two instances of these cannot run side by side: they share a published port or a writable volume. */
    public boolean excludes(Component other) {
        return ports.stream().anyMatch(p -> other.ports.stream().anyMatch(p::conflictsWith))
                || volumes.stream()
                        .anyMatch(v -> other.volumes.stream()
                                .anyMatch(o -> o.source().equals(v.source()) && !(o.readOnly() && v.readOnly())));
    }

    /** Collects a component's keys; every setter has the definition file's default. */
    public static final class Builder {
        private final Name name;
        private ImageRef image;
        private RuntimeKind runtime = RuntimeKind.CONTAINER;
        private Optional<Kernel> kernel = Optional.empty();
        private Optional<Name> network = Optional.empty();
        private Optional<String> user = Optional.empty();
        private RestartPolicy restart = new RestartPolicy.UnlessStopped();
        private List<PortMapping> ports = List.of();
        private List<Volume> volumes = List.of();
        private List<String> command = List.of();
        private List<String> env = List.of();
        private List<String> secrets = List.of();
        private OptionalInt memoryMb = OptionalInt.empty();
        private OptionalDouble cpus = OptionalDouble.empty();
        private OptionalInt vcpus = OptionalInt.empty();
        private Optional<HealthCheck> health = Optional.empty();
        private Duration hold = DEFAULT_HOLD;

        private Builder(Name name, ImageRef image) {
            this.name = name;
            this.image = image;
        }

        public Builder image(ImageRef value) {
            image = value;
            return this;
        }

        public Builder runtime(RuntimeKind value) {
            runtime = value;
            return this;
        }

        public Builder kernel(Kernel value) {
            kernel = Optional.of(value);
            return this;
        }

        public Builder network(Name value) {
            network = Optional.of(value);
            return this;
        }

        public Builder user(String value) {
            user = Optional.of(value);
            return this;
        }

        public Builder restart(RestartPolicy value) {
            restart = value;
            return this;
        }

        public Builder ports(List<PortMapping> value) {
            ports = value;
            return this;
        }

        public Builder volumes(List<Volume> value) {
            volumes = value;
            return this;
        }

        public Builder command(List<String> value) {
            command = value;
            return this;
        }

        public Builder env(List<String> value) {
            env = value;
            return this;
        }

        public Builder secrets(List<String> value) {
            secrets = value;
            return this;
        }

        public Builder memoryMb(int value) {
            memoryMb = OptionalInt.of(value);
            return this;
        }

        public Builder cpus(double value) {
            cpus = OptionalDouble.of(value);
            return this;
        }

        public Builder vcpus(int value) {
            vcpus = OptionalInt.of(value);
            return this;
        }

        public Builder health(HealthCheck value) {
            health = Optional.of(value);
            return this;
        }

        public Builder hold(Duration value) {
            hold = value;
            return this;
        }

        public Component build() {
            return new Component(
                    name, runtime, kernel, image, network, user, restart, ports, volumes, command, env, secrets,
                    memoryMb, cpus, vcpus, health, hold);
        }
    }
}
