package dev.metacircular.agent;

import dev.metacircular.definition.AgentConfig;
import dev.metacircular.runtime.microvm.GuestImageOptions;
import dev.metacircular.runtime.microvm.GuestImages;
import dev.metacircular.runtime.microvm.MicrovmOptions;
import dev.metacircular.runtime.microvm.MicrovmRuntime;
import dev.metacircular.runtime.podman.PodmanOptions;
import dev.metacircular.runtime.podman.PodmanRuntime;
import dev.metacircular.runtime.podman.RegistryOptions;
import dev.metacircular.vm.Accelerator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** What a node runs components on: containers and microVMs, both over the same podman. What it lacks for one, its availability tells. */
final class NodeBackends implements Agent.Backends {
    /** What ordinary images are packed with; the launcher says where it lies. */
    private static final String GUEST = "metacircular.guest";

    @Override
    public Made make(Path directory, AgentConfig config) {
        PodmanService podman = new PodmanService(directory, config.podmanSocket());
        podman.ensure();
        Map<String, RegistryOptions> registries = config.registries().entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, e -> options(e.getValue())));
        PodmanOptions options = PodmanOptions.of(podman.socket(), config.node()).withRegistries(registries);
        Optional<Path> guest =
                Optional.ofNullable(System.getProperty(GUEST)).map(Path::of).filter(Files::isDirectory);
        GuestImages images =
                new GuestImages(GuestImageOptions.of(directory.resolve("guest-images"), registries, guest));
        Runtimes runtimes = new Runtimes(
                List.of(new PodmanRuntime(options), new MicrovmRuntime(microvms(directory, config), options, images)));
        return new Made(runtimes, podman::ensure, podman.socket());
    }

    static MicrovmOptions microvms(Path directory, AgentConfig config) {
        Optional<MicrovmOptions.Vmm> vmm = switch (config.vmm()) {
            case AUTO -> Optional.empty();
            case QEMU -> Optional.of(MicrovmOptions.Vmm.QEMU);
            case FIRECRACKER -> Optional.of(MicrovmOptions.Vmm.FIRECRACKER);
        };
        Optional<Accelerator> accelerator = switch (config.accelerator()) {
            case AUTO -> Optional.empty();
            case KVM -> Optional.of(Accelerator.KVM);
            case EMULATION -> Optional.of(Accelerator.EMULATION);
        };
        return new MicrovmOptions(
                directory.resolve("microvms"), Programs.searchPath(), vmm, accelerator, config.opsHome());
    }

    private static RegistryOptions options(AgentConfig.Registry registry) {
        return new RegistryOptions(registry.authFile(), registry.ca(), registry.insecure());
    }
}
