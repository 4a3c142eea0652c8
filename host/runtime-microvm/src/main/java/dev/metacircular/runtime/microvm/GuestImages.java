package dev.metacircular.runtime.microvm;

import dev.metacircular.image.ImageException;
import dev.metacircular.model.ImageRef;
import dev.metacircular.oci.Access;
import dev.metacircular.oci.GuestArtifact;
import dev.metacircular.oci.OciException;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.podman.RegistryOptions;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;

/**
 * The guest images of a node, in files of its own. {@link Image#id} is the SHA-256 of the bootable file, {@link Image#digest} that of what
 * the registry has under the reference. A tag that has moved means the new image; the old one stays, without that name, until it is
 * removed. Several processes may use one store at once.
 */
public final class GuestImages implements GuestImageStore {
    /** An ordinary image's tree is held in memory while it is packed. */
    private static final int PACKED_AT_ONCE = 1;
    /** So often there is a look whether there is room for what is loaded. */
    private static final long LOOK_BYTES = 64L << 20;

    private final GuestImageOptions options;
    private volatile Optional<ImageFiles> opened = Optional.empty();
    private final Semaphore packing = new Semaphore(PACKED_AT_ONCE);
    private final Map<String, Shared> pulls = new ConcurrentHashMap<>();

    /** A pull that several wait for. */
    private static final class Shared {
        private final CompletableFuture<Image> image = new CompletableFuture<>();
        private final List<PullListener> listeners = new CopyOnWriteArrayList<>();
    }

    /** The store is opened, and made where there is none, when it is used. */
    public GuestImages(GuestImageOptions options) {
        this.options = options;
    }

    private ImageFiles files() {
        Optional<ImageFiles> known = opened;
        return known.isPresent() ? known.get() : open();
    }

    private synchronized ImageFiles open() {
        if (opened.isEmpty()) {
            opened = Optional.of(
                    new ImageFiles(options.directory(), options.limits().storeBytes()));
        }
        return opened.get();
    }

    @Override
    public Optional<String> fault() {
        try {
            files();
            return Optional.empty();
        } catch (RuntimeFailure e) {
            return Optional.of(String.valueOf(e.getMessage()));
        }
    }

    @Override
    public Optional<Image> image(ImageRef reference) {
        return files().find(reference);
    }

    @Override
    public List<Image> images() {
        return files().all();
    }

    @Override
    public Image pull(ImageRef reference, PullListener listener) {
        if (reference.isLocal()) {
            return image(reference)
                    .orElseThrow(
                            () -> new RuntimeFailure(
                                    Kind.NOT_FOUND,
                                    "there is no guest image " + reference
                                            + " on this node, and localhost/ is never looked up elsewhere: mcp-agent load puts one there"));
        }
        Shared mine = new Shared();
        mine.listeners.add(listener);
        Shared running = pulls.putIfAbsent(reference.toString(), mine);
        if (running != null) {
            running.listeners.add(listener);
            return await(running);
        }
        try {
            mine.image.complete(fetch(reference, mine.listeners));
        } catch (RuntimeException | Error e) {
            mine.image.completeExceptionally(e);
            throw e;
        } finally {
            pulls.remove(reference.toString(), mine);
        }
        return await(mine);
    }

    private static Image await(Shared pull) {
        try {
            return pull.image.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeFailure failure) {
                throw new RuntimeFailure(failure.kind(), String.valueOf(failure.getMessage()), failure);
            }
            throw e;
        }
    }

    private Image fetch(ImageRef reference, List<PullListener> listeners) {
        PullListener all = (what, done, total) -> listeners.forEach(listener -> listener.progress(what, done, total));
        try (RegistryClient registry =
                new RegistryClient(reference.registry(), access(reference), options.deadlines())) {
            new ImagePull(files(), options, packing, registry, reference, all).run();
        } catch (OciException e) {
            throw ImagePull.failure(e);
        }
        return image(reference)
                .orElseThrow(() -> new RuntimeFailure(
                        Kind.CONFLICT,
                        "the guest image " + reference + " was removed while it was pulled: pull it again"));
    }

    private Access access(ImageRef reference) {
        RegistryOptions registry = options.registries().getOrDefault(reference.registry(), RegistryOptions.DEFAULT);
        return new Access(registry.authFile(), registry.caFile(), registry.insecure());
    }

    /**
     * Puts a guest image from a file into the store; what a sudden end leaves of it is taken away when the store is opened next.
     *
     * @param reference a {@code localhost/…} name
     * @throws RuntimeFailure {@code INVALID} if the file is no sound guest image, or the name is not the node's own
     */
    public Image load(Path file, ImageRef reference) {
        try (InputStream in = Files.newInputStream(file)) {
            return load(in, file.toString(), reference);
        } catch (IOException e) {
            throw FileFailure.of("load " + file, e);
        }
    }

    /**
     * As {@link #load(Path, ImageRef)}, from a stream of unknown length.
     *
     * @param name what messages call it
     */
    public Image load(InputStream in, String name, ImageRef reference) {
        if (!reference.isLocal()) {
            throw new RuntimeFailure(
                    Kind.INVALID,
                    "'" + reference + "' belongs to an image registry: an image is loaded as localhost/…");
        }
        Path made = files().workspace();
        try {
            Path copy = made.resolve("image");
            copy(in, name, copy);
            try (dev.metacircular.image.Image opened = dev.metacircular.image.Image.open(copy)) {
                opened.verify();
            } catch (ImageException e) {
                throw new RuntimeFailure(Kind.INVALID, name + " is no sound guest image: " + e.getMessage(), e);
            }
            String id = ImageFiles.digest(copy).toString();
            files().keep(Optional.of(copy), new ImageFiles.Stored(id, Files.size(copy), "", List.of()), reference);
        } catch (IOException e) {
            throw FileFailure.of("load " + name, e);
        } finally {
            ImageFiles.discard(made);
        }
        return image(reference)
                .orElseThrow(() -> new RuntimeFailure(Kind.CONFLICT, reference + " was removed at once"));
    }

    private void copy(InputStream in, String name, Path file) throws IOException {
        try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.CREATE_NEW)) {
            byte[] buffer = new byte[1 << 16];
            long bytes = 0;
            long looked = 0;
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                bytes += read;
                if (bytes > GuestArtifact.MAX_BYTES) {
                    throw new RuntimeFailure(
                            Kind.INVALID, name + " has more than " + GuestArtifact.MAX_BYTES + " bytes");
                }
                if (bytes > looked) {
                    files().requireRoom(0);
                    looked = bytes + LOOK_BYTES;
                }
                out.write(buffer, 0, read);
            }
        }
    }

    @Override
    public boolean remove(Image image) {
        return files().remove(image);
    }

    @Override
    public Path file(String imageId) {
        return files().file(imageId);
    }

    @Override
    public List<String> command(String imageId) {
        return files().stored(imageId).map(ImageFiles.Stored::command).orElse(List.of());
    }
}
