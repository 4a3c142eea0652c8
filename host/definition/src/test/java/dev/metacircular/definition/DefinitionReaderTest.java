package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Desired;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.Name;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class DefinitionReaderTest {
    static final String SHOP = """
            name   = "shop"                       # equal to the file's name
            node   = "alpha"
            active = true
            path   = "shop"                       # sources

            [build.images]
            shop        = "Dockerfile"
            shop-worker = "worker/ukernel.toml"

            [[components]]
            name    = "web"
            image   = "registry.example:5000/shop:v1.4.0"
            network = "mcpnet"
            user    = "1000:1000"
            restart = "unless-stopped"
            ports   = ["127.0.0.1:18080:8080"]
            volumes = ["data:/data"]
            cmd     = ["serve"]
            env     = ["LOG_LEVEL=info"]
            secrets = ["DB_PASSWORD"]
            memory_mb = 256
            cpus    = 0.5

            [components.health]                   # optional; gates a deploy
            http    = "8080/healthz"
            timeout_s = 30

            [[components]]
            name      = "worker"
            runtime   = "unikernel"
            kernel    = "ukernel"
            image     = "registry.example:5000/shop-worker:v1.4.0"
            memory_mb = 128
            vcpus     = 1
            ports     = ["127.0.0.1:19090:9090"]
            """;

    static Parsed<Service> read(String text) {
        return DefinitionReader.read(Path.of("shop.toml"), text);
    }

    static List<String> faults(String text) {
        return read(text).faults().stream().map(Fault::toString).toList();
    }

    @Test
    void theExampleOfTheSpecificationIsReadInFull() {
        Service shop = read(SHOP).orThrow();

        assertThat(shop.name()).isEqualTo(Name.of("shop"));
        assertThat(shop.node()).isEqualTo(Name.of("alpha"));
        assertThat(shop.active()).isTrue();
        assertThat(shop.path()).contains("shop");
        assertThat(shop.buildImages())
                .containsOnlyKeys("shop", "shop-worker")
                .containsEntry("shop-worker", "worker/ukernel.toml");
        assertThat(shop.components())
                .extracting(Service.Entry::desired)
                .containsExactly(Desired.RUNNING, Desired.RUNNING);

        var web = shop.components().get(0).component();
        assertThat(web.runtime()).isEqualTo(RuntimeKind.CONTAINER);
        assertThat(web.image()).hasToString("registry.example:5000/shop:v1.4.0");
        assertThat(web.network()).contains(Name.of("mcpnet"));
        assertThat(web.user()).contains("1000:1000");
        assertThat(web.restart()).isEqualTo(new RestartPolicy.UnlessStopped());
        assertThat(web.ports()).extracting(Object::toString).containsExactly("127.0.0.1:18080:8080");
        assertThat(web.volumes()).extracting(Object::toString).containsExactly("data:/data");
        assertThat(web.command()).containsExactly("serve");
        assertThat(web.env()).containsExactly("LOG_LEVEL=info");
        assertThat(web.secrets()).containsExactly("DB_PASSWORD");
        assertThat(web.memoryMb()).hasValue(256);
        assertThat(web.cpus()).hasValue(0.5);
        assertThat(web.vcpus()).isEmpty();
        assertThat(web.kernel()).isEmpty();
        assertThat(web.health()).contains(new HealthCheck.Http(8080, "/healthz", Duration.ofSeconds(30)));
        assertThat(web.hold()).isEqualTo(Duration.ofSeconds(2));

        var worker = shop.components().get(1).component();
        assertThat(worker.runtime()).isEqualTo(RuntimeKind.UNIKERNEL);
        assertThat(worker.kernel()).contains(Kernel.UKERNEL);
        assertThat(worker.memoryMb()).hasValue(128);
        assertThat(worker.vcpus()).hasValue(1);
        assertThat(worker.health()).isEmpty();
    }

    @Test
    void sixDifferentFaultsAreSixErrorsAtTheirPlaces() {
        String text = """
                name = "shop"
                node = "Alpha"

                [[components]]
                name = "web"
                imgae = "registry.example:5000/shop:v1"
                image = "registry.example:5000/shop:v1"
                  ports = ["127.0.0.1:18080:8080", "80"]
                restart = "sometimes"
                memory_mb = "256"
                vcpus = 2
                """;

        assertThat(faults(text))
                .containsExactly(
                        "shop.toml:2:1: 'node' is 'Alpha': expected " + Name.EXPECTED,
                        "shop.toml:6:1: unknown key 'imgae': expected 'image', the nearest of name, runtime, "
                                + "image, network, user, restart, ports, volumes, cmd, env, secrets, memory_mb, cpus, "
                                + "health, hold_s, desired",
                        "shop.toml:8:36: 'ports' is '80': expected [address:]host:guest[/tcp|/udp] with ports 1 to 65535, "
                                + "such as 127.0.0.1:18080:8080",
                        "shop.toml:9:1: 'restart' is 'sometimes': expected no, on-failure[:n], always or unless-stopped",
                        "shop.toml:10:1: 'memory_mb' is the string '256': expected an integer from 4 to 1048576",
                        "shop.toml:11:1: key 'vcpus', which the runtime \"container\" does not know: expected 'cpus', or "
                                + "runtime = \"unikernel\"");
    }
}
