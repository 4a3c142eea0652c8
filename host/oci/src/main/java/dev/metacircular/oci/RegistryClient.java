package dev.metacircular.oci;

import dev.metacircular.oci.OciException.Kind;
import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * An image registry (OCI Distribution Specification 1.1), for one push or pull: all calls end within {@link Deadlines#total} of its
 * making, with what was asked for or an {@link OciException}; nothing that is returned or written differs from its digest. Safe for use by several threads.
 */
public final class RegistryClient implements AutoCloseable {
    static final String PULL = "pull";
    static final String PUSH = "pull,push";

    private static final String ACCEPTED = String.join(
            ", ", MediaTypes.MANIFEST, MediaTypes.INDEX, MediaTypes.DOCKER_MANIFEST, MediaTypes.DOCKER_INDEX);
    private static final String BYTES = "application/octet-stream";

    private final String registry;
    private final Requests requests;
    private final long end;

    /** @param registry its host, with its port where it has one */
    public RegistryClient(String registry, Access access) {
        this(registry, access, Deadlines.DEFAULT);
    }

    /** As above, with deadlines of one's own. */
    public RegistryClient(String registry, Access access, Deadlines deadlines) {
        this.registry = registry;
        this.end = System.nanoTime() + deadlines.total().toNanos();
        this.requests = new Requests(registry, access, deadlines);
    }

    private String named(String repository, String reference) {
        return registry + "/" + repository + (Sha256.isOne(reference) ? "@" : ":") + reference;
    }

    /**
     * What stands under a tag or a manifest's digest.
     *
     * @throws OciException NOT_FOUND if there is nothing
     */
    public Document document(String repository, String reference) {
        String name = named(repository, reference);
        String purpose = "pull " + name;
        Requests.Call call = new Requests.Call(
                        purpose, "GET", "/v2/" + repository + "/manifests/" + reference, repository, PULL)
                .with("Accept", ACCEPTED);
        try (Transport.Answer answer = requests.send(call, end)) {
            requests.require(purpose, answer, 200);
            byte[] bytes = answer.read(purpose, Document.MAX_BYTES);
            Sha256 digest = Sha256.of(bytes);
            String told = answer.header("Docker-Content-Digest").orElse("");
            String wanted = Sha256.isOne(reference) ? reference : told;
            if (Sha256.isOne(wanted) && !wanted.equals(digest.text())) {
                throw new OciException(
                        Kind.INVALID,
                        "cannot %s: the registry's answer is %s, not %s".formatted(purpose, digest, wanted));
            }
            String type =
                    answer.header("Content-Type").orElse("").split(";", 2)[0].strip();
            return Documents.read(name, type, bytes);
        }
    }

    /** A small blob. */
    public byte[] blob(String repository, Descriptor descriptor, int maxBytes) {
        String purpose = "pull " + registry + "/" + repository + "@" + descriptor.digest();
        if (descriptor.sizeBytes() > maxBytes) {
            throw new OciException(
                    Kind.INVALID,
                    "cannot %s: it has %d bytes, at most %d are taken"
                            .formatted(purpose, descriptor.sizeBytes(), maxBytes));
        }
        try (Transport.Answer answer = requests.send(get(purpose, repository, descriptor), end)) {
            requests.require(purpose, answer, 200);
            byte[] bytes = answer.read(purpose, maxBytes);
            if (bytes.length != descriptor.sizeBytes() || !Sha256.of(bytes).equals(descriptor.digest())) {
                throw new OciException(
                        Kind.INVALID, "cannot %s: what the registry sends is something else".formatted(purpose));
            }
            return bytes;
        }
    }

    static Requests.Call get(String purpose, String repository, Descriptor descriptor) {
        return new Requests.Call(
                purpose, "GET", "/v2/" + repository + "/blobs/" + descriptor.digest(), repository, PULL);
    }

    /**
     * Brings a blob into a new file, whole and written through to the disk, or not at all. A connection that is lost on the way is
     * made again for the rest.
     */
    public void download(String repository, Descriptor descriptor, Path file, Progress progress) {
        String purpose = "pull " + registry + "/" + repository + "@" + descriptor.digest();
        new Download(requests, purpose, repository, descriptor, progress).to(file, end);
    }

    /** Whether the registry has a blob. */
    public boolean has(String repository, Descriptor descriptor) {
        String purpose = "look up " + registry + "/" + repository + "@" + descriptor.digest();
        Requests.Call call = new Requests.Call(
                purpose, "HEAD", "/v2/" + repository + "/blobs/" + descriptor.digest(), repository, PULL);
        try (Transport.Answer answer = requests.send(call, end)) {
            if (answer.status() == 404) {
                return false;
            }
            requests.require(purpose, answer, 200);
            return true;
        }
    }

    /** Sends a file that the registry does not have yet. */
    public void upload(String repository, Descriptor descriptor, Path file, Progress progress) {
        upload(repository, descriptor, progress, () -> {
            try {
                return new BufferedInputStream(Files.newInputStream(file), 1 << 16);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    /** Sends bytes that the registry does not have yet. */
    public Descriptor upload(String repository, String mediaType, byte[] bytes) {
        Descriptor descriptor = Descriptor.of(mediaType, bytes);
        upload(repository, descriptor, Progress.NONE, () -> new java.io.ByteArrayInputStream(bytes));
        return descriptor;
    }

    private void upload(String repository, Descriptor descriptor, Progress progress, Supplier<InputStream> content) {
        String purpose = "push " + registry + "/" + repository + "@" + descriptor.digest();
        if (has(repository, descriptor)) {
            progress.bytes(descriptor.sizeBytes(), descriptor.sizeBytes());
            return;
        }
        URI location;
        Requests.Call begin =
                new Requests.Call(purpose, "POST", "/v2/" + repository + "/blobs/uploads/", repository, PUSH);
        try (Transport.Answer answer = requests.send(begin, end)) {
            requests.require(purpose, answer, 202);
            location = requests.location(purpose, answer);
        }
        String separator = location.getRawQuery() == null ? "?" : "&";
        URI target = URI.create(location + separator + "digest="
                + URLEncoder.encode(descriptor.digest().text(), StandardCharsets.UTF_8));
        Requests.Call put = new Requests.Call(purpose, "PUT", target.toString(), repository, PUSH)
                .with("Content-Type", BYTES)
                .sending(told -> publisher(descriptor.sizeBytes(), content, told, progress));
        try (Transport.Answer answer = requests.send(put, end)) {
            requests.require(purpose, answer, 201);
        }
    }

    private static HttpRequest.BodyPublisher publisher(
            long size, Supplier<InputStream> content, Runnable told, Progress progress) {
        if (size == 0) {
            return HttpRequest.BodyPublishers.noBody();
        }
        return HttpRequest.BodyPublishers.fromPublisher(
                HttpRequest.BodyPublishers.ofInputStream(() -> new FilterInputStream(content.get()) {
                    private long done;

                    @Override
                    public int read(byte[] buffer, int offset, int length) throws IOException {
                        int read = in.read(buffer, offset, length);
                        if (read > 0) {
                            done += read;
                            told.run();
                            progress.bytes(done, size);
                        }
                        return read;
                    }
                }),
                size);
    }

    /**
     * Puts a manifest under a tag, or a digest that is its own. Its blobs must be there.
     *
     * @return what it is now known by
     */
    public Descriptor putManifest(String repository, String reference, String mediaType, byte[] manifest) {
        String purpose = "push " + named(repository, reference);
        Descriptor descriptor = Descriptor.of(mediaType, manifest);
        Requests.Call put = new Requests.Call(
                        purpose, "PUT", "/v2/" + repository + "/manifests/" + reference, repository, PUSH)
                .with("Content-Type", mediaType)
                .sending(_ -> HttpRequest.BodyPublishers.ofByteArray(manifest));
        try (Transport.Answer answer = requests.send(put, end)) {
            requests.require(purpose, answer, 201);
            String told = answer.header("Docker-Content-Digest")
                    .orElse(descriptor.digest().text());
            if (!told.equals(descriptor.digest().text())) {
                throw new OciException(
                        Kind.INVALID,
                        "%s: the registry has taken %s as %s"
                                .formatted(purpose, descriptor.digest(), OneLine.of(told)));
            }
        }
        return descriptor;
    }

    /** A file's descriptor; reads all of it. */
    public static Descriptor describe(Path file, String mediaType, Map<String, String> annotations) {
        var digest = Sha256.start();
        long size = 0;
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = Files.newInputStream(file)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
                size += read;
            }
        } catch (IOException e) {
            throw new OciException(Kind.FAILED, file + " cannot be read: " + OneLine.of(e), e);
        }
        return new Descriptor(mediaType, Sha256.finish(digest), size, annotations, Optional.empty(), Optional.empty());
    }

    @Override
    public void close() {
        requests.close();
    }
}
