package dev.metacircular.definition;

import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The agent's {@code agent.toml}. Every path is absolute.
 *
 * @param services below which each service has its directory
 * @param allowedHostPaths absolute host paths that volumes may name
 * @param registries image registries by {@code host[:port]}
 * @param opsHome the folder that {@code ops} keeps its {@code .ops} in, unless it is the user's
 * @param podmanSocket where podman's API is, unless where the user's podman has it
 * @param maxFileBytes the largest file that is moved to or from a service's folder
 */
public record AgentConfig(
        Name node,
        Address listen,
        boolean allowWildcardBind,
        LimitMode limits,
        Path services,
        List<Path> allowedHostPaths,
        Optional<Alert> alert,
        Map<String, Registry> registries,
        Vmm vmm,
        Accelerator accelerator,
        Optional<Path> opsHome,
        Optional<Path> podmanSocket,
        long maxFileBytes) {
    /** The file's name in the agent's directory. */
    public static final String FILE_NAME = "agent.toml";

    static final Path DEFAULT_SERVICES = Path.of("/srv");
    /** 1 GiB. */
    public static final long DEFAULT_FILE_BYTES = 1L << 30;

    public AgentConfig {
        allowedHostPaths = List.copyOf(allowedHostPaths);
        registries = Map.copyOf(registries);
    }

    /** The configuration of a new agent: every default. */
    public static AgentConfig initial(Name node, Address listen) {
        return new AgentConfig(
                node,
                listen,
                false,
                LimitMode.ENFORCE,
                DEFAULT_SERVICES,
                List.of(),
                Optional.empty(),
                Map.of(),
                Vmm.AUTO,
                Accelerator.AUTO,
                Optional.empty(),
                Optional.empty(),
                DEFAULT_FILE_BYTES);
    }

    /** What becomes of a resource limit that the node cannot enforce. */
    public enum LimitMode {
        /** The component is refused. */
        ENFORCE,
        /** The component runs, and the limit is shown as not enforced. */
        BEST_EFFORT
    }

    /** The operator's alert command. */
    public record Alert(List<String> command, Duration cooldown, Duration timeout) {
        public Alert {
            command = List.copyOf(command);
        }
    }

    /**
     * How to talk to an image registry.
     *
     * @param authFile credentials, in the form of containers-auth.json(5)
     * @param ca a certificate authority besides the system's, PEM
     * @param insecure plain HTTP or an unchecked certificate
     */
    public record Registry(Optional<Path> authFile, Optional<Path> ca, boolean insecure) {}

    /** Which virtual machine monitor runs unikernels. */
    public enum Vmm {
        AUTO,
        FIRECRACKER,
        QEMU
    }

    /** What executes a virtual machine's instructions. */
    public enum Accelerator {
        AUTO,
        KVM,
        EMULATION
    }
}
