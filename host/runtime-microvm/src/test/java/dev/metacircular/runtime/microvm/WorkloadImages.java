package dev.metacircular.runtime.microvm;

import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Guest images of the workloads' program, packed by the guest's own tool, and a registry of them in memory. */
final class WorkloadImages implements GuestImageStore {
    private final Path folder;
    private final Path guest;
    private final Map<String, Image> here = new HashMap<>();
    private final Map<String, Image> registry = new HashMap<>();
    private final Set<String> denied;

    WorkloadImages(Path folder, Path guest, Set<String> denied) {
        this.folder = folder;
        this.guest = guest;
        this.denied = denied;
    }

    /** Packs an image whose content differs by its name from others. */
    Path pack(String name) {
        Path image = folder.resolve(name);
        Shell.run(
                guest.resolve("zig-out/tests/pack").toString(),
                image.toString(),
                guest.resolve("zig-out/kernel/ukernel-full.elf").toString(),
                guest.resolve("zig-out/tests/workloads").toString(),
                "name " + name,
                "arg workloads",
                "capability io",
                "capability net");
        return image;
    }

    synchronized void install(ImageRef reference, String name) {
        here.put(reference.toString(), image(reference, name, ""));
    }

    synchronized void publish(ImageRef reference, String name) {
        registry.put(reference.toString(), image(reference, name, "sha256:" + name));
    }

    private Image image(ImageRef reference, String name, String digest) {
        try {
            return new Image(name, List.of(reference.toString()), digest, Files.size(pack(name)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public synchronized Optional<Image> image(ImageRef reference) {
        return Optional.ofNullable(here.get(reference.toString()));
    }

    @Override
    public synchronized List<Image> images() {
        return List.copyOf(here.values());
    }

    @Override
    public synchronized Image pull(ImageRef reference, PullListener listener) {
        String name = reference.toString();
        if (denied.contains(name)) {
            throw new RuntimeFailure(Kind.DENIED, name + " is refused");
        }
        Image found = name.startsWith("localhost/") ? here.get(name) : registry.get(name);
        if (found == null) {
            throw new RuntimeFailure(Kind.NOT_FOUND, name + " is nowhere");
        }
        listener.progress(name, found.sizeBytes(), found.sizeBytes());
        here.put(name, found);
        return found;
    }

    @Override
    public synchronized boolean remove(Image image) {
        return here.values().removeIf(i -> i.id().equals(image.id()));
    }

    @Override
    public Path file(String imageId) {
        Path file = folder.resolve(imageId);
        if (!Files.exists(file)) {
            throw new RuntimeFailure(Kind.NOT_FOUND, "there is no guest image " + imageId);
        }
        return file;
    }
}
