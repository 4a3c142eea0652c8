package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.image.AbiVersion;
import dev.metacircular.image.Attributes;
import dev.metacircular.image.Content;
import dev.metacircular.image.ImageSpec;
import dev.metacircular.image.ImageWriter;
import dev.metacircular.image.Manifest;
import dev.metacircular.image.Node;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.oci.GuestArtifact;
import dev.metacircular.oci.Progress;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.oci.TestRegistry;
import dev.metacircular.runtime.ConformanceBackend;
import dev.metacircular.runtime.podman.PodmanOptions;
import dev.metacircular.runtime.podman.RegistryOptions;
import dev.metacircular.vm.Accelerator;
import dev.metacircular.vm.QemuDriver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Real microVMs: QEMU under software emulation, carried by a real rootless podman. All that it makes bears the run's own name and is gone
 * when it is closed.
 */
final class MicrovmNode implements ConformanceBackend {
    private static final Path GUEST =
            Path.of("../../guest/zig-out").toAbsolutePath().normalize();
    private static final Path KERNEL = GUEST.resolve("kernel/ukernel-full.elf");
    private static final Path PROGRAM = GUEST.resolve("tests/workloads");

    private final Optional<NanosTools> ops;
    private final String run = "mcv-%08x".formatted(ThreadLocalRandom.current().nextInt());
    private final Map<String, String> environment = new HashMap<>();
    private final Path folder;
    private final TestRegistry registry;
    private final GuestImages images;
    private final MicrovmRuntime runtime;
    private int contents;

    MicrovmNode() {
        this(Optional.empty());
    }

    /** @param ops NanoVMs' tools, where it has them */
    MicrovmNode(Optional<NanosTools> ops) {
        this.ops = ops;
        assumeTrue(Files.exists(PROGRAM) && Files.exists(KERNEL), "the guest is not built (./build)");
        assumeTrue(QemuDriver.findIn(path()).isPresent(), "QEMU is not installed (apt-get install qemu-system-x86)");
        for (String line : Shell.script("rootless-podman-env").lines().toList()) {
            String[] parts = line.split("=", 2);
            environment.put(parts[0], parts[1]);
        }
        try {
            folder = Files.createTempDirectory("metacircular-microvm").toRealPath();
            Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
            Files.createDirectories(vms());
            // As on a node, where it is podman's user who runs the agent.
            Files.setOwner(
                    vms(), vms().getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName(user()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        registry = TestRegistry.tls();
        try {
            Optional<Path> ca = Optional.of(registry.caFile());
            images = new GuestImages(GuestImageOptions.of(
                    folder.resolve("images"),
                    Map.of(
                            registry.host(),
                            new RegistryOptions(Optional.of(registry.authFile()), ca, false),
                            stranger(),
                            new RegistryOptions(Optional.empty(), ca, false)),
                    Optional.of(GUEST)));
            images.load(pack(run), image());
            moveTag();
            runtime = reopened(node());
        } catch (RuntimeException | Error e) {
            registry.close();
            throw e;
        }
    }

    static String path() {
        return Optional.ofNullable(System.getenv("PATH")).orElse("");
    }

    private String user() {
        return environment.getOrDefault("METACIRCULAR_PODMAN_USER", "");
    }

    /** The folder of the state directories. */
    Path vms() {
        return folder.resolve("vms");
    }

    /** A folder that everybody may enter. */
    Path folder() {
        return folder;
    }

    @Override
    public MicrovmRuntime runtime() {
        return runtime;
    }

    @Override
    public MicrovmRuntime reopened(Name node) {
        return reopened(node, ops.map(NanosTools::searchPath).orElse("") + path(), Optional.of(Accelerator.EMULATION));
    }

    /** @param searchPath where it looks for a VMM */
    MicrovmRuntime reopened(Name node, String searchPath, Optional<Accelerator> accelerator) {
        return new MicrovmRuntime(
                new MicrovmOptions(
                        vms(),
                        searchPath,
                        Optional.empty(),
                        accelerator,
                        Optional.of(ops.map(NanosTools::home).orElse(folder))),
                podman(node),
                images);
    }

    PodmanOptions podman(Name node) {
        Path socket = Path.of(System.getProperty(
                "metacircular.podman.socket", environment.getOrDefault("METACIRCULAR_PODMAN_SOCKET", "")));
        Path home = Path.of(environment.getOrDefault("METACIRCULAR_PODMAN_HOME", "/"));
        return PodmanOptions.of(socket, node).withHome(home);
    }

    @Override
    public Set<Capability> capabilities() {
        return EnumSet.noneOf(Capability.class);
    }

    @Override
    public Name node() {
        return Name.of(run);
    }

    @Override
    public ImageRef image() {
        return ImageRef.parse("localhost/" + run + ":v1");
    }

    @Override
    public List<String> command(Workload workload) {
        return List.of(workload.name().toLowerCase(Locale.ROOT));
    }

    /** The registry's host as one who has no credentials for it calls it. */
    private String stranger() {
        return registry.host().replace("127.0.0.1", "localhost");
    }

    /** An image whose content differs by its name from others. */
    private Path pack(String name) {
        Path file = folder.resolve(name);
        try {
            Manifest manifest = new Manifest(
                    name,
                    new AbiVersion(0, 1),
                    "native",
                    "/workloads",
                    "/workloads",
                    List.of("workloads"),
                    Map.of(),
                    List.of(
                            dev.metacircular.image.Capability.parse("io"),
                            dev.metacircular.image.Capability.parse("net")),
                    Map.of(),
                    Map.of());
            Node.Directory root = new Node.Directory(Attributes.of(0755))
                    .add("workloads", new Node.RegularFile(Attributes.of(0755), Content.of(PROGRAM)));
            ImageWriter.write(new ImageSpec(manifest, Content.of(KERNEL), Optional.empty(), root), file);
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public ImageRef pullable() {
        return ImageRef.parse(registry.host() + "/workloads:v1");
    }

    /** An ordinary image under a reference of this node's. */
    dev.metacircular.runtime.Image pulled(String repository, OciImages.Recipe recipe) {
        try (RegistryClient client = registry.client()) {
            new OciImages(client).push(repository, "v1", recipe);
        }
        return images.pull(ImageRef.parse(registry.host() + "/" + repository + ":v1"), (_, _, _) -> {});
    }

    @Override
    public void moveTag() {
        contents++;
        String name = run + "-" + contents;
        try (RegistryClient client = registry.client()) {
            GuestArtifact.push(client, "workloads", "v1", pack(name), name, Progress.NONE);
        }
    }

    @Override
    public ImageRef absent() {
        return ImageRef.parse(registry.host() + "/absent:v1");
    }

    @Override
    public ImageRef denied() {
        return ImageRef.parse(stranger() + "/workloads:v1");
    }

    @Override
    public int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What of this run is still there, one a line; empty when everything was removed. */
    String leftovers() {
        String label = "label=dev.metacircular.node=" + run;
        String left =
                Shell.podman("ps", "-aq", "--filter", label) + Shell.podman("network", "ls", "-q", "--filter", label);
        try (Stream<Path> all = Files.list(vms())) {
            return left + all.map(p -> p + "\n").reduce("", String::concat);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Closes one that has nothing left of its tests; where an assumption kept it from being made, there is nothing to close. */
    static void end(@Nullable MicrovmNode node) {
        if (node != null) {
            try (node) {
                assertThat(node.leftovers()).isEmpty();
            }
        }
    }

    @Override
    public void close() {
        runtime.close();
        registry.close();
        String label = "label=dev.metacircular.node=" + run;
        Shell.podman("ps", "-aq", "--filter", label).lines().forEach(id -> Shell.podman("rm", "-f", "-t", "0", id));
        Shell.podman("network", "ls", "-q", "--filter", label).lines().forEach(id -> Shell.podman("network", "rm", id));
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
