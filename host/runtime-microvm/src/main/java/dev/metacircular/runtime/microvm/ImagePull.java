package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Digest;
import dev.metacircular.image.Image;
import dev.metacircular.image.ImageException;
import dev.metacircular.image.ImageWriter;
import dev.metacircular.model.ImageRef;
import dev.metacircular.oci.Descriptor;
import dev.metacircular.oci.Document;
import dev.metacircular.oci.GuestArtifact;
import dev.metacircular.oci.ImageConfig;
import dev.metacircular.oci.MediaTypes;
import dev.metacircular.oci.OciException;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.oci.Sha256;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/** Brings one image from its registry into the store: a guest image as it is, or an ordinary image packed with this node's kernel. */
final class ImagePull {
    /** Raised when what is packed of the same image and kernel changes. */
    private static final String PACKING = "1";

    private static final int MAX_LAYERS = 128;

    private final ImageFiles files;
    private final Optional<Path> guestFolder;
    private final GuestImageOptions.Limits limits;
    private final Semaphore packing;
    private final Duration turn;
    private final RegistryClient registry;
    private final ImageRef reference;
    private final PullListener listener;
    private final String purpose;

    /** @param packing how many images are packed at once */
    ImagePull(
            ImageFiles files,
            GuestImageOptions options,
            Semaphore packing,
            RegistryClient registry,
            ImageRef reference,
            PullListener listener) {
        this.files = files;
        this.guestFolder = options.guest();
        this.limits = options.limits();
        this.packing = packing;
        this.turn = options.deadlines().total();
        this.registry = registry;
        this.reference = reference;
        this.listener = listener;
        this.purpose = "cannot pull " + reference + ": ";
    }

    void run() {
        String tag = reference.digest().or(reference::tag).orElse("latest");
        Document document = registry.document(reference.repository(), tag);
        Document.Manifest manifest = switch (document) {
            case Document.Manifest one -> one;
            case Document.Index index -> ofThisMachine(index);
        };
        String digest = document.self().digest().text();
        Optional<Descriptor> guest = GuestArtifact.imageOf(reference.toString(), manifest);
        if (guest.isPresent()) {
            keepGuestImage(guest.get(), digest);
        } else if (MediaTypes.isImageConfig(manifest.config().mediaType())) {
            keepOrdinaryImage(manifest, digest);
        } else {
            throw invalid("it is an artifact of the type '%s', neither a guest image nor one for containers"
                    .formatted(manifest.artifactType().orElse(manifest.config().mediaType())));
        }
    }

    private Document.Manifest ofThisMachine(Document.Index index) {
        Descriptor chosen = index.manifests().stream()
                .filter(d -> d.platform()
                        .filter(p -> p.os().equals("linux") && p.architecture().equals("amd64"))
                        .filter(p -> p.variant().isEmpty() || p.variant().equals("v1"))
                        .isPresent())
                .findFirst()
                .or(() -> index.manifests().stream()
                        .filter(d -> d.artifactType().equals(Optional.of(GuestArtifact.ARTIFACT_TYPE)))
                        .findFirst())
                .orElseThrow(() -> invalid("it is not for linux/amd64, only for "
                        + index.manifests().stream()
                                .flatMap(d -> d.platform().stream())
                                .map(Object::toString)
                                .limit(20)
                                .collect(Collectors.joining(", "))));
        if (registry.document(reference.repository(), chosen.digest().text()) instanceof Document.Manifest manifest) {
            return manifest;
        }
        throw invalid("its index leads to another index");
    }

    private void keepGuestImage(Descriptor image, String digest) {
        ImageFiles.Stored stored = new ImageFiles.Stored(image.digest().text(), image.sizeBytes(), digest, List.of());
        Path made = files.workspace();
        try {
            Path file = made.resolve("image");
            if (files.stored(stored.id()).isEmpty()) {
                files.requireRoom(image.sizeBytes());
                registry.download(reference.repository(), image, file, this::report);
                try (Image opened = Image.open(file)) {
                    opened.verify();
                } catch (ImageException e) {
                    throw invalid("it is no sound guest image: " + e.getMessage());
                }
            } else {
                report(image.sizeBytes(), image.sizeBytes());
            }
            files.keep(Optional.of(file).filter(Files::exists), stored, reference);
        } finally {
            ImageFiles.discard(made);
        }
    }

    private void report(long done, long total) {
        listener.progress(reference.toString(), done, total);
    }

    private void keepOrdinaryImage(Document.Manifest manifest, String digest) {
        GuestSystem guest = guestFolder
                .flatMap(GuestSystem::in)
                .orElseThrow(() -> new RuntimeFailure(
                        Kind.UNSUPPORTED,
                        purpose + "it is an ordinary image, and this node has no kernel to pack it with: run ./build"));
        if (manifest.layers().size() > MAX_LAYERS) {
            throw invalid("it has %d layers, at most %d are taken"
                    .formatted(manifest.layers().size(), MAX_LAYERS));
        }
        ImageConfig config = ImageConfig.read(
                "the configuration of " + reference,
                registry.blob(reference.repository(), manifest.config(), ImageConfig.MAX_BYTES));
        OrdinaryImage image = new OrdinaryImage(reference.toString(), config, guest);
        image.check();
        try {
            String key = key(manifest, guest);
            long total =
                    manifest.layers().stream().mapToLong(Descriptor::sizeBytes).sum();
            Optional<ImageFiles.Stored> before = files.packed(key);
            if (before.isPresent()) {
                report(total, total);
                ImageFiles.Stored known = before.get();
                files.keep(
                        Optional.empty(),
                        new ImageFiles.Stored(known.id(), known.sizeBytes(), digest, known.command()),
                        reference);
                return;
            }
            if (!packing.tryAcquire(turn.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new RuntimeFailure(Kind.DEADLINE, purpose + "other images are being packed all the time");
            }
            try {
                pack(manifest, config, image, total, digest, key);
            } finally {
                packing.release();
            }
        } catch (IOException e) {
            throw FileFailure.of("pack " + reference, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RuntimeFailure(Kind.FAILED, purpose + "it was interrupted", e);
        }
    }

    /** All that the packed image is made of. */
    private String key(Document.Manifest manifest, GuestSystem guest) throws IOException {
        String parts = String.join(
                " ",
                PACKING,
                reference.lastSegment(),
                manifest.self().digest().text(),
                ImageFiles.digest(guest.kernel()).toString(),
                ImageFiles.digest(guest.linuxAdapter()).toString(),
                guest.abi().toString());
        return Digest.of(parts.getBytes(StandardCharsets.UTF_8)).hex();
    }

    private void pack(
            Document.Manifest manifest, ImageConfig config, OrdinaryImage image, long total, String digest, String key)
            throws IOException {
        if (config.diffIds().size() != manifest.layers().size()) {
            throw invalid("its configuration names %d layers, its manifest %d"
                    .formatted(config.diffIds().size(), manifest.layers().size()));
        }
        if (total < 0 || total > limits.unpackedBytes()) {
            throw invalid("its layers have %d bytes, at most %d are taken".formatted(total, limits.unpackedBytes()));
        }
        files.requireRoom(total);
        Path made = files.workspace();
        try (Spool spool = new Spool(made.resolve("files"))) {
            RootTree tree = new RootTree(limits.entries(), limits.depth());
            LayerReader layers = new LayerReader(tree, spool, limits.unpackedBytes(), files::requireFree);
            long done = 0;
            for (int i = 0; i < manifest.layers().size(); i++) {
                Descriptor layer = manifest.layers().get(i);
                long before = done;
                Path file = made.resolve("layer");
                registry.download(reference.repository(), layer, file, (now, _) -> report(before + now, total));
                Sha256 unpacked = unpack(layers, layer, file);
                if (!unpacked.equals(config.diffIds().get(i))) {
                    throw invalid("layer %d unpacks to %s, its configuration says %s"
                            .formatted(i + 1, unpacked, config.diffIds().get(i)));
                }
                Files.delete(file);
                done += layer.sizeBytes();
            }
            report(total, total);
            OrdinaryImage.Packed packed = image.pack(tree, manifest.self().digest(), reference.lastSegment());
            Path file = made.resolve("image");
            files.requireFree(layers.bytes());
            ImageWriter.write(packed.spec(), file);
            long size = Files.size(file);
            String id = ImageFiles.digest(file).toString();
            files.keep(Optional.of(file), new ImageFiles.Stored(id, size, digest, packed.defaults()), reference);
            files.rememberPacked(key, id);
        } catch (RootTree.BadTree | ImageException e) {
            throw invalid(String.valueOf(e.getMessage()));
        } finally {
            ImageFiles.discard(made);
        }
    }

    private Sha256 unpack(LayerReader layers, Descriptor layer, Path file) throws IOException {
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
            if (MediaTypes.isGzipLayer(layer.mediaType())) {
                return layers.add(new GZIPInputStream(raw, 1 << 16));
            }
            if (MediaTypes.isPlainLayer(layer.mediaType())) {
                return layers.add(raw);
            }
        } catch (TarReader.BadArchive | ZipException | EOFException e) {
            throw invalid("layer %s is damaged: %s".formatted(layer.digest(), e.getMessage()));
        }
        throw invalid("a layer is of the type '%s': push it compressed by gzip".formatted(layer.mediaType()));
    }

    private RuntimeFailure invalid(String why) {
        return new RuntimeFailure(Kind.INVALID, purpose + why.replaceAll("\\p{Cntrl}", "?"));
    }

    /** What a node's callers are told of a registry's failure. */
    static RuntimeFailure failure(OciException e) {
        Kind kind = switch (e.kind()) {
            case NOT_FOUND -> Kind.NOT_FOUND;
            case DENIED -> Kind.DENIED;
            case UNREACHABLE -> Kind.UNREACHABLE;
            case DEADLINE -> Kind.DEADLINE;
            case INVALID -> Kind.INVALID;
            case FAILED -> FileFailure.kind(String.valueOf(e.getMessage()));
        };
        return new RuntimeFailure(kind, String.valueOf(e.getMessage()), e);
    }
}
