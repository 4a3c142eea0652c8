package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Image;
import dev.metacircular.image.ImageException;
import dev.metacircular.image.Manifest;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.microvm.StateDirectories.State;
import dev.metacircular.runtime.podman.Carriage;
import dev.metacircular.vm.CarriedNanos;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Makes what carries a VM with Nanos. Its image is built for it alone, of the packed image's program and root and of its own arguments, environment
 * and secrets: mode 0600, and it goes with its state directory. What is left of a build goes too, whatever became of it.
 */
final class NanosCarrier {
    private static final String SCRIPT = "nanos.sh";
    private static final Duration LIMIT = Duration.ofMinutes(2);
    /** The root is laid out once, and stands in the image once. */
    private static final int COPIES = 2;

    private final StateDirectories directories;
    private final Machinery machinery;

    NanosCarrier(StateDirectories directories, Machinery machinery) {
        this.directories = directories;
        this.machinery = machinery;
    }

    /** @param packed the image as the store has it */
    Carriage of(InstanceSpec spec, Path packed, Carrier.Configuration given) {
        Optional<String> fault = machinery.whyNot(spec.component());
        if (fault.isPresent()) {
            throw Carrier.refused(spec, Kind.UNSUPPORTED, fault.get());
        }
        Machinery.Choice choice = machinery.chooseForNanos();
        Nanos.Release release = machinery.nanos().require();
        String key = directories.newKey(spec.identity());
        Making.NOW.get().key(key);
        State state = directories.make(key, made -> {
            Files.write(made.root().resolve(SCRIPT), StateDirectories.resource(SCRIPT));
            Files.copy(release.kernel(), made.root().resolve("kernel"));
            Path work = Files.createDirectory(made.path().resolve("build"));
            try {
                OpsBuild.Built built = build(spec, packed, given, release, work);
                Path image = made.vm().resolve("image");
                Files.move(built.image(), image);
                Files.setPosixFilePermissions(image, PosixFilePermissions.fromString("rw-------"));
                Files.writeString(made.root().resolve("places"), built.places() + "\n");
            } finally {
                FileTree.delete(work);
            }
        });
        CarriedNanos vm = new CarriedNanos(
                key,
                spec.component().vcpus().orElse(1),
                spec.component().memoryMb().orElse(Carrier.DEFAULT_MEMORY_MEBIBYTES),
                Path.of("/kernel"),
                Path.of("/vm/image"),
                "tap0",
                "@mac@",
                Path.of("/vm/monitor"),
                Path.of("/vm/qemu.pid"));
        List<String> command = new ArrayList<>(List.of("/bin/sh", "/box.sh"));
        command.addAll(vm.qemu(VmmPrograms.inside(choice.program()), choice.accelerator()));
        return new Carriage(
                state.root(),
                command,
                Carrier.mounts(state, choice.program()),
                Carrier.devices(choice),
                Carrier.CAPABILITIES,
                Map.of(Carrier.LABEL, key));
    }

    private static OpsBuild.Built build(
            InstanceSpec spec, Path packed, Carrier.Configuration given, Nanos.Release release, Path work)
            throws IOException {
        try (Image image = Image.open(packed)) {
            Manifest manifest = image.manifest();
            if (!manifest.adapter().equals("linux")) {
                throw Carrier.refused(
                        spec,
                        Kind.INVALID,
                        "its program is built for the µKernel's own interface, and Nanos runs Linux programs: use"
                                + " kernel = \"ukernel\"");
            }
            long free = Files.getFileStore(work).getUsableSpace();
            if (free < COPIES * image.sizeBytes()) {
                throw Carrier.refused(
                        spec,
                        Kind.EXHAUSTED,
                        "no room to build its image: %d MiB are free below %s, and it takes up to %d"
                                .formatted(free >> 20, work.getParent(), (COPIES * image.sizeBytes()) >> 20));
            }
            OpsBuild build = new OpsBuild(work, LIMIT);
            NanosRoot.lay(image, build.root());
            return build.run(release, program(manifest, given));
        } catch (OpsBuild.Failed e) {
            throw Carrier.refused(spec, Kind.FAILED, release.ops() + " built no image of it: " + e.getMessage());
        } catch (NanosRoot.BadName | ImageException e) {
            throw Carrier.refused(spec, Kind.INVALID, String.valueOf(e.getMessage()));
        }
    }

    private static OpsBuild.Program program(Manifest manifest, Carrier.Configuration given) {
        List<String> arguments = new ArrayList<>(manifest.arguments());
        arguments.addAll(given.arguments());
        Map<String, String> environment = new LinkedHashMap<>(manifest.environment());
        environment.putAll(given.environment());
        return new OpsBuild.Program(
                manifest.entry(), arguments, environment, manifest.environment().getOrDefault("PWD", "/"));
    }
}
