package dev.metacircular.ukernel;

import dev.metacircular.image.Capability;
import dev.metacircular.image.ImageException;
import dev.metacircular.image.RunConfiguration;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A project as its {@code ukernel.toml} describes it.
 *
 * @param folder absolute, holds the file
 * @param entry the workload's main source file, relative to the folder
 * @param kernel the kernel's combination: minimal, net, full
 * @param files a folder, relative, whose content stands in the image's root
 * @param capabilities what the workload may acquire at all
 */
record Project(
        Path folder,
        Name name,
        Language language,
        Path entry,
        String adapter,
        String kernel,
        Optional<Path> files,
        List<Capability> capabilities,
        Run run) {
    static final String FILE = "ukernel.toml";

    Project {
        capabilities = List.copyOf(capabilities);
    }

    /**
     * What a run gets unless the command line says otherwise.
     *
     * @param memoryMebibytes guest memory
     * @param address the guest's own; empty: asked of DHCP
     */
    record Run(
            int vcpus,
            int memoryMebibytes,
            Net net,
            Optional<RunConfiguration.Address> address,
            List<PortMapping> ports) {
        static final String ADDRESS_EXPECTED = "\"ADDRESS/LENGTH\" or \"ADDRESS/LENGTH,GATEWAY\"";

        Run {
            ports = List.copyOf(ports);
        }

        static Optional<RunConfiguration.Address> parseAddress(String text) {
            try {
                return Optional.of(new RunConfiguration.Address(text.replace(',', ' ')));
            } catch (ImageException e) {
                return Optional.empty();
            }
        }
    }

    /** A run's network: {@code user}, {@code tap:IFACE}, {@code none}. */
    sealed interface Net {
        String EXPECTED = "\"user\", \"tap:IFACE\" or \"none\"";

        /** User-mode networking. */
        record User() implements Net {}

        /** A tap interface of the host. */
        record Tap(String interfaceName) implements Net {}

        /** No network. */
        record None() implements Net {}

        static Optional<Net> parse(String text) {
            if (text.equals("user")) {
                return Optional.of(new User());
            }
            if (text.equals("none")) {
                return Optional.of(new None());
            }
            return text.startsWith("tap:") && text.length() > 4
                    ? Optional.of(new Tap(text.substring(4)))
                    : Optional.empty();
        }
    }

    Path buildFolder() {
        return folder.resolve("build");
    }

    Path distFolder() {
        return folder.resolve("dist");
    }

    Path logsFolder() {
        return folder.resolve("logs");
    }

    /** The workload's program as it goes into the image. */
    Path program() {
        return buildFolder().resolve(name.value());
    }

    /** The same program with its debug information. */
    Path programWithSymbols() {
        return buildFolder().resolve(name.value() + ".debug");
    }

    /** The image. */
    Path image() {
        return distFolder().resolve(name.value() + ".img");
    }
}
