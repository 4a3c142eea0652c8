package dev.metacircular.definition;

import dev.metacircular.model.Component;
import dev.metacircular.model.Desired;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import dev.metacircular.model.Volume;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;

/** Components and services such as a reader yields them, with texts that try the limits of TOML. */
final class Generated {
    private static final String DIGEST = "@sha256:" + "0123456789abcdef".repeat(4);

    private Generated() {}

    /** Texts with everything that has a meaning to TOML in them. */
    static Arbitrary<String> texts() {
        return Arbitraries.of(
                        "a",
                        " ",
                        "\"",
                        "\\",
                        "'",
                        "\n",
                        "\r\n",
                        "\t",
                        "#",
                        "=",
                        "é",
                        "𝄞",
                        "\u0001",
                        "\b",
                        "\f",
                        "\u007f",
                        "\u0085",
                        "\u2028",
                        "'''",
                        "\"\"\"",
                        "[[components]]\n",
                        "desired = \"ignore\"\n",
                        "\\u0041",
                        "{",
                        "]",
                        ",")
                .list()
                .ofMaxSize(6)
                .map(parts -> String.join("", parts));
    }

    static Arbitrary<Name> names() {
        return Arbitraries.of("a", "web", "web-x", "0", "9-", "worker", "db", "shop", "x".repeat(40))
                .map(Name::of);
    }

    static Arbitrary<ImageRef> images() {
        return Arbitraries.of(
                        "registry.example:5000/shop:v1.4.0",
                        "localhost/shop",
                        "r.io/a/b-c/d_e:latest",
                        "[::1]:5000/x" + DIGEST,
                        "r.io/shop:v1" + DIGEST)
                .map(ImageRef::parse);
    }

    static Arbitrary<Component> components() {
        return names().flatMap(Generated::components);
    }

    private static Arbitrary<Component> components(Name name) {
        return Combinators.combine(containers(name), unikernels(name), Arbitraries.of(true, true, false))
                .as((container, unikernel, takeContainer) -> takeContainer ? container : unikernel);
    }

    private static Arbitrary<Component> containers(Name name) {
        Arbitrary<Optional<Double>> cpus =
                Arbitraries.of(0.01, 0.1, 0.5, 1.0, 1.0 / 3, 2.25, 1024.0).optional();
        Arbitrary<List<Volume>> volumes = Arbitraries.of(
                        "data:/data", "/etc/ssl/certs:/c:ro", "a b/c:/ä", "x:/data/x:ro")
                .map(Volume::parse)
                .list()
                .ofMaxSize(4)
                .uniqueElements(Volume::target);
        Arbitrary<Optional<String>> user =
                Arbitraries.of("0", "1000:1000", "www-data", "nobody:0").optional();
        return Combinators.combine(basis(name, true), cpus, volumes, user)
                .as((c, n, v, u) -> new Component(
                        c.name(),
                        RuntimeKind.CONTAINER,
                        Optional.empty(),
                        c.image(),
                        c.network(),
                        u,
                        c.restart(),
                        c.ports(),
                        v,
                        c.command(),
                        c.env(),
                        c.secrets(),
                        c.memoryMb(),
                        n.map(OptionalDouble::of).orElseGet(OptionalDouble::empty),
                        OptionalInt.empty(),
                        c.health(),
                        c.hold()));
    }

    private static Arbitrary<Component> unikernels(Name name) {
        return Combinators.combine(
                        basis(name, false),
                        Arbitraries.of(Kernel.class),
                        Arbitraries.integers().between(1, 32))
                .as((c, kernel, vcpus) -> new Component(
                        c.name(),
                        RuntimeKind.UNIKERNEL,
                        Optional.of(kernel),
                        c.image(),
                        c.network(),
                        Optional.empty(),
                        c.restart(),
                        c.ports(),
                        List.of(),
                        c.command(),
                        c.env(),
                        c.secrets(),
                        OptionalInt.of(c.memoryMb().orElse(128)),
                        OptionalDouble.empty(),
                        OptionalInt.of(vcpus),
                        c.health(),
                        c.hold()));
    }

    /** What containers and unikernels share. */
    private static Arbitrary<Component> basis(Name name, boolean commands) {
        Arbitrary<List<PortMapping>> ports = Arbitraries.of(
                        "127.0.0.1:18080:8080", "18081:80", "[::1]:18082:80/udp", "[fd00::2]:18083:65535", "1:1")
                .map(PortMapping::parse)
                .list()
                .ofMaxSize(4)
                .uniqueElements(PortMapping::hostPort);
        Arbitrary<RestartPolicy> restart = Arbitraries.of(
                        "no", "on-failure", "on-failure:3", "always", "unless-stopped")
                .map(text -> RestartPolicy.parse(text).orElseThrow());
        Arbitrary<List<String>> env = Combinators.combine(Arbitraries.of("A", "_b", "my.prop-x", "LOG_LEVEL"), texts())
                .as((key, value) -> key + "=" + value)
                .list()
                .ofMaxSize(4)
                .uniqueElements(e -> e.substring(0, e.indexOf('=')));
        Arbitrary<List<String>> secrets = Arbitraries.of("DB_PASSWORD", "TOKEN", "_x1")
                .list()
                .uniqueElements()
                .ofMaxSize(3);
        Arbitrary<Integer> memory = Arbitraries.integers().between(3, 1 << 20);
        return Combinators.combine(
                        images(),
                        names().optional(),
                        restart,
                        ports,
                        texts().list().ofMaxSize(3),
                        env,
                        secrets,
                        Combinators.combine(
                                        memory,
                                        durations(0),
                                        healthChecks(commands).optional())
                                .as(Rest::new))
                .as((image, network, policy, mappings, command, variables, names, rest) -> {
                    Component.Builder b = Component.builder(name.value(), image.toString())
                            .restart(policy)
                            .ports(mappings)
                            .command(command)
                            .env(variables)
                            .secrets(names)
                            .hold(rest.hold());
                    network.filter(n -> name.value().length() + n.value().length() < 40)
                            .ifPresent(b::network);
                    rest.health().ifPresent(b::health);
                    // 3 stands for none: the least that may be asked for is 4.
                    return rest.memory() == 3
                            ? b.build()
                            : b.memoryMb(rest.memory()).build();
                });
    }

    private record Rest(int memory, Duration hold, Optional<HealthCheck> health) {}

    private static Arbitrary<Duration> durations(int minMillis) {
        return Arbitraries.oneOf(
                        Arbitraries.integers().between(minMillis, 3_600_000),
                        Arbitraries.of(2_000, 30_000, 1_000, 100, 500))
                .map(Duration::ofMillis);
    }

    private static Arbitrary<HealthCheck> healthChecks(boolean commands) {
        Arbitrary<HealthCheck> http = Combinators.combine(
                        Arbitraries.integers().between(1, 65_535),
                        Arbitraries.of("/", "/healthz", "/a?b=\"c\"&d=%20#"),
                        durations(100))
                .as(HealthCheck.Http::new);
        Arbitrary<HealthCheck> tcp = Combinators.combine(Arbitraries.integers().between(1, 65_535), durations(100))
                .as(HealthCheck.Tcp::new);
        Arbitrary<HealthCheck> command = Combinators.combine(
                        texts().list().ofMinSize(1).ofMaxSize(3), durations(100))
                .as(HealthCheck.Command::new);
        return commands ? Arbitraries.oneOf(http, tcp, command) : Arbitraries.oneOf(http, tcp);
    }

    /** Always named {@code shop}. */
    static Arbitrary<Service> services() {
        Arbitrary<List<Component>> components =
                components().list().ofMinSize(1).ofMaxSize(4).uniqueElements(Component::name);
        Arbitrary<Map<String, String>> images = Arbitraries.maps(
                        Arbitraries.of("shop", "shop-worker", "a.b", "x__y"),
                        Arbitraries.of("Dockerfile", "worker/ukernel.toml", "a \"b\"/ü", "./x"))
                .ofMaxSize(3);
        return Combinators.combine(
                        names(),
                        Arbitraries.of(true, false),
                        Arbitraries.of("shop", "a/b", ".", "with \\ and \"").optional(),
                        images,
                        components,
                        Arbitraries.of(Desired.class).list().ofSize(4))
                .as((node, active, path, built, parts, desired) -> {
                    List<Service.Entry> entries = new ArrayList<>();
                    for (int i = 0; i < parts.size(); i++) {
                        entries.add(new Service.Entry(portsOf(parts.get(i), i), desired.get(i)));
                    }
                    return new Service(Name.of("shop"), node, active, path, built, entries);
                });
    }

    /** The node's ports moved out of the way of the other components'. */
    private static Component portsOf(Component c, int index) {
        List<PortMapping> ports = c.ports().stream()
                .map(p -> new PortMapping(p.address(), p.hostPort() + 10 * index, p.guestPort(), p.protocol()))
                .toList();
        return new Component(
                c.name(),
                c.runtime(),
                c.kernel(),
                c.image(),
                c.network(),
                c.user(),
                c.restart(),
                ports,
                c.volumes(),
                c.command(),
                c.env(),
                c.secrets(),
                c.memoryMb(),
                c.cpus(),
                c.vcpus(),
                c.health(),
                c.hold());
    }
}
