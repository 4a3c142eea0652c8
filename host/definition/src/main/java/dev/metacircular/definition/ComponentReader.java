package dev.metacircular.definition;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Volume;
import java.net.InetAddress;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads the keys of one component. Every default of the runtime is filled in, so that equal meaning is equal. */
final class ComponentReader {
    static final int DEFAULT_UNIKERNEL_MEMORY_MB = 128;
    static final int DEFAULT_VCPUS = 1;

    private static final String ENV_EXPECTED =
            "NAME=VALUE, the name of letters, digits, '_', '-' and '.', not beginning with a digit";
    private static final Pattern ENV = Pattern.compile("(?<name>[A-Za-z_][A-Za-z0-9_.-]{0,255})=.*", Pattern.DOTALL);
    private static final String SECRET_EXPECTED = "1 to 128 of letters, digits and '_', not beginning with a digit";
    private static final Pattern SECRET = Pattern.compile("[A-Za-z_][A-Za-z0-9_]{0,127}");
    private static final String USER_EXPECTED = "user[:group], each a name or a number from 0 to 4294967294";
    private static final Pattern USER_PART = Pattern.compile("[A-Za-z_][A-Za-z0-9_.-]{0,31}\\$?|0|[1-9][0-9]{0,9}");
    private static final long USER_MAX = 4_294_967_294L;
    private static final String HTTP_EXPECTED = "port/path, such as 8080/healthz";
    private static final Pattern HTTP = Pattern.compile("(?<port>[1-9][0-9]{0,4})(?<path>/[!-~]{0,1023})");
    private static final int PORT_MAX = 65_535;

    private final Table table;

    private ComponentReader(Table table) {
        this.table = table;
    }

    /** What was read; complete only if there were no faults. */
    record Reading(
            Optional<Name> name,
            Optional<Name> network,
            List<Table.Placed<PortMapping>> ports,
            List<Table.Placed<Volume>> volumes,
            Supplier<Component> component) {}

    /** All keys but {@code desired}, which the caller reads; the caller also rejects the unknown. */
    static Reading read(Table table) {
        return new ComponentReader(table).read();
    }

    private Reading read() {
        Optional<Name> name = table.requiredString("name", Name.EXPECTED, n -> Optional.of(Name.of(n)));
        Optional<RuntimeKind> runtime = table.string("runtime", "\"container\" or \"unikernel\"", RuntimeKind::parse);
        RuntimeKind kind = runtime.orElse(RuntimeKind.CONTAINER);
        // Which keys a runtime knows cannot be told while it is not known itself: then all are read.
        boolean unclear = runtime.isEmpty() && table.has("runtime");
        boolean container = kind == RuntimeKind.CONTAINER || unclear;
        boolean unikernel = kind == RuntimeKind.UNIKERNEL || unclear;
        if (!unclear) {
            rejectOthers(kind);
        }
        Optional<Kernel> kernel =
                when(unikernel, () -> table.string("kernel", "\"ukernel\" or \"nanos\"", Kernel::parse));
        Optional<ImageRef> image =
                table.requiredString("image", ImageRef.EXPECTED, i -> Optional.of(ImageRef.parse(i)));
        Optional<Name> network = table.string("network", Name.EXPECTED, n -> Optional.of(Name.of(n)));
        Optional<String> user = when(container, () -> table.string("user", USER_EXPECTED, ComponentReader::user));
        Optional<RestartPolicy> restart = table.string("restart", RestartPolicy.EXPECTED, RestartPolicy::parse);
        List<Table.Placed<PortMapping>> ports = table.list("ports", PortMapping.EXPECTED, ComponentReader::port);
        List<Table.Placed<Volume>> volumes = table.list("volumes", Volume.EXPECTED, ComponentReader::volume);
        List<String> command = values(table.strings("cmd"));
        List<Table.Placed<String>> env = table.list("env", ENV_EXPECTED, ComponentReader::env);
        List<Table.Placed<String>> secrets = table.list("secrets", SECRET_EXPECTED, ComponentReader::secret);
        Optional<Integer> memory = table.integer("memory_mb", Limits.MEMORY_MIN_MB, Limits.MEMORY_MAX_MB);
        Optional<Double> cpus = when(container, () -> table.number("cpus", Limits.CPUS_MIN, Limits.CPUS_MAX));
        Optional<Integer> vcpus = when(unikernel, () -> table.integer("vcpus", 1, Limits.VCPUS_MAX));
        Optional<HealthCheck> health = table.table("health").flatMap(t -> health(t, container));
        Optional<Duration> hold = table.seconds("hold_s", 0, Limits.HOLD_MAX_S);
        rejectRepeatedTargets(volumes);
        rejectRepeatedVariables(env, secrets);

        return new Reading(
                name,
                network,
                ports,
                volumes,
                () -> new Component(
                        name.orElseThrow(),
                        kind,
                        unikernel ? Optional.of(kernel.orElse(Kernel.UKERNEL)) : Optional.empty(),
                        image.orElseThrow(),
                        network,
                        user,
                        restart.orElseGet(RestartPolicy.UnlessStopped::new),
                        values(ports),
                        values(volumes),
                        command,
                        values(env),
                        values(secrets),
                        integer(unikernel ? memory.or(() -> Optional.of(DEFAULT_UNIKERNEL_MEMORY_MB)) : memory),
                        cpus.map(OptionalDouble::of).orElseGet(OptionalDouble::empty),
                        integer(unikernel ? vcpus.or(() -> Optional.of(DEFAULT_VCPUS)) : vcpus),
                        health,
                        hold.orElse(Component.DEFAULT_HOLD)));
    }

    private static <T> Optional<T> when(boolean known, Supplier<Optional<T>> reader) {
        return known ? reader.get() : Optional.empty();
    }

    private void rejectOthers(RuntimeKind kind) {
        switch (kind) {
            case CONTAINER -> {
                rejectKey("kernel", kind, "no such key, or runtime = \"unikernel\"");
                rejectKey("vcpus", kind, "'cpus', or runtime = \"unikernel\"");
            }
            case UNIKERNEL -> {
                rejectKey("user", kind, "no such key: a unikernel has no users");
                rejectKey("cpus", kind, "'vcpus'");
            }
        }
    }

    private void rejectKey(String key, RuntimeKind kind, String expected) {
        table.reject(key, "key '" + key + "', which the runtime \"" + kind + "\" does not know", expected);
    }

    private static Optional<HealthCheck> health(Table health, boolean hasCommands) {
        List<String> forms =
                List.of("http", "tcp", "cmd").stream().filter(health::has).toList();
        if (!hasCommands) {
            health.reject(
                    "cmd",
                    "key 'cmd', which the runtime \"unikernel\" does not know here",
                    "'http' or 'tcp': nothing can be run inside a unikernel");
        }
        Optional<Endpoint> http = health.string("http", HTTP_EXPECTED, ComponentReader::endpoint);
        Optional<Integer> tcp = health.integer("tcp", 1, PORT_MAX);
        List<String> command = hasCommands ? values(health.strings("cmd")) : List.of();
        Optional<Duration> given = health.seconds("timeout_s", 0.1, Limits.TIMEOUT_MAX_S);
        Duration timeout = given.orElse(HealthCheck.DEFAULT_TIMEOUT);
        health.rejectUnknown();
        if (forms.isEmpty()) {
            health.missing("http", "exactly one of http, tcp and cmd");
        } else if (forms.size() > 1) {
            health.fault(
                    forms.get(1),
                    "'" + forms.get(1) + "' besides '" + forms.get(0) + "'",
                    "exactly one of http, tcp and cmd");
        } else if (hasCommands && health.isEmptyArray("cmd")) {
            health.fault("cmd", "'cmd' without a program", "a program and its arguments");
        }
        return http.<HealthCheck>map(h -> new HealthCheck.Http(h.port(), h.path(), timeout))
                .or(() -> tcp.map(port -> new HealthCheck.Tcp(port, timeout)))
                .or(() -> Optional.of(new HealthCheck.Command(command, timeout)));
    }

    private record Endpoint(int port, String path) {}

    private static Optional<Endpoint> endpoint(String text) {
        Matcher m = HTTP.matcher(text);
        return m.matches() && Integer.parseInt(m.group("port")) <= PORT_MAX
                ? Optional.of(new Endpoint(Integer.parseInt(m.group("port")), m.group("path")))
                : Optional.empty();
    }

    private static Optional<String> user(String text) {
        String[] parts = text.split(":", -1);
        for (String part : parts) {
            if (!USER_PART.matcher(part).matches()
                    || (Character.isDigit(part.charAt(0)) && Long.parseLong(part) > USER_MAX)) {
                return Optional.empty();
            }
        }
        return parts.length <= 2 ? Optional.of(text) : Optional.empty();
    }

    private static Optional<PortMapping> port(String text) {
        PortMapping mapping = PortMapping.parse(text);
        InetAddress address = InetAddress.ofLiteral(mapping.address());
        return address.isMulticastAddress() ? Optional.empty() : Optional.of(mapping);
    }

    private static Optional<Volume> volume(String text) {
        Volume volume = Volume.parse(text);
        String source = withoutFinalSlash(volume.source());
        String target = withoutFinalSlash(volume.target());
        return target.equals("/") || source.length() > Limits.PATH_CHARS || target.length() > Limits.PATH_CHARS
                ? Optional.empty()
                : Optional.of(new Volume(source, target, volume.readOnly()));
    }

    private static String withoutFinalSlash(String path) {
        return path.length() > 1 && path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
    }

    private static Optional<String> env(String text) {
        return ENV.matcher(text).matches() ? Optional.of(text) : Optional.empty();
    }

    private static Optional<String> secret(String text) {
        return SECRET.matcher(text).matches() ? Optional.of(text) : Optional.empty();
    }

    private void rejectRepeatedTargets(List<Table.Placed<Volume>> volumes) {
        Set<String> targets = new HashSet<>();
        for (Table.Placed<Volume> volume : volumes) {
            if (!targets.add(volume.value().target())) {
                table.fault(volume.at(), "a second volume at '" + volume.value().target() + "'", "one volume a target");
            }
        }
    }

    private void rejectRepeatedVariables(List<Table.Placed<String>> env, List<Table.Placed<String>> secrets) {
        Map<String, String> keyOf = new HashMap<>();
        for (Table.Placed<String> item : env) {
            String name = item.value().substring(0, item.value().indexOf('='));
            rejectRepeated(keyOf, name, "env", item);
        }
        for (Table.Placed<String> item : secrets) {
            rejectRepeated(keyOf, item.value(), "secrets", item);
        }
    }

    private void rejectRepeated(Map<String, String> keyOf, String name, String key, Table.Placed<String> item) {
        String other = keyOf.putIfAbsent(name, key);
        if (other != null) {
            table.fault(item.at(), "'" + name + "' once more, after the one in '" + other + "'", "each variable once");
        }
    }

    private static OptionalInt integer(Optional<Integer> value) {
        return value.map(OptionalInt::of).orElseGet(OptionalInt::empty);
    }

    private static <T> List<T> values(List<Table.Placed<T>> items) {
        return items.stream().map(Table.Placed::value).toList();
    }
}
