package dev.metacircular.oci;

import dev.metacircular.oci.OciException.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;

/** Brings one blob into a file. */
final class Download {
    private static final int MAX_TRIES = 4;
    private static final int BUFFER_BYTES = 1 << 16;

    private final Requests requests;
    private final String purpose;
    private final String repository;
    private final Descriptor descriptor;
    private final Progress progress;
    private final MessageDigest digest = Sha256.start();
    private long done;

    Download(Requests requests, String purpose, String repository, Descriptor descriptor, Progress progress) {
        this.requests = requests;
        this.purpose = purpose;
        this.repository = repository;
        this.descriptor = descriptor;
        this.progress = progress;
    }

    void to(Path file, long end) {
        boolean whole = false;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            try {
                for (int tries = 1; !some(channel, end, tries == MAX_TRIES); tries++) {
                    progress.bytes(done, descriptor.sizeBytes());
                }
                if (!Sha256.finish(digest).equals(descriptor.digest())) {
                    throw new OciException(
                            Kind.INVALID, "cannot %s: what the registry sends is something else".formatted(purpose));
                }
                channel.force(true);
                whole = true;
            } finally {
                if (!whole) {
                    Files.deleteIfExists(file);
                }
            }
        } catch (IOException e) {
            throw new OciException(
                    Kind.FAILED, "cannot %s: %s cannot be written: %s".formatted(purpose, file, OneLine.of(e)), e);
        }
    }

    /**
     * What one connection brings.
     *
     * @param last whether a lost connection is a failure
     * @return whether all of it is there
     */
    private boolean some(FileChannel channel, long end, boolean last) throws IOException {
        Requests.Call call = RegistryClient.get(purpose, repository, descriptor);
        Requests.Call rest = done == 0 ? call : call.with("Range", "bytes=" + done + "-");
        Transport.Answer answer;
        try {
            answer = requests.send(rest, end);
        } catch (OciException e) {
            if (last || done == 0 || e.kind() != Kind.UNREACHABLE) {
                throw e;
            }
            return false;
        }
        try (answer) {
            requests.require(purpose, answer, 200, 206);
            boolean goesOn = answer.status() == 206
                    && answer.header("Content-Range").orElse("").startsWith("bytes " + done + "-");
            if (!goesOn) {
                if (answer.status() == 206) {
                    throw new OciException(
                            Kind.INVALID, "cannot %s: the registry sends another part".formatted(purpose));
                }
                channel.truncate(0).position(0);
                digest.reset();
                done = 0;
            }
            return copy(answer, channel, last);
        }
    }

    private boolean copy(Transport.Answer answer, FileChannel channel, boolean last) throws IOException {
        byte[] buffer = new byte[BUFFER_BYTES];
        while (true) {
            int read;
            try {
                read = answer.body().read(buffer, 0, buffer.length);
            } catch (IOException e) {
                OciException failure = answer.failure(purpose, e);
                if (last || failure.kind() != Kind.UNREACHABLE) {
                    throw failure;
                }
                return false;
            }
            if (read < 0) {
                if (done != descriptor.sizeBytes()) {
                    throw size();
                }
                return true;
            }
            done += read;
            if (done > descriptor.sizeBytes()) {
                throw size();
            }
            digest.update(buffer, 0, read);
            ByteBuffer piece = ByteBuffer.wrap(buffer, 0, read);
            while (piece.hasRemaining()) {
                channel.write(piece);
            }
            progress.bytes(done, descriptor.sizeBytes());
        }
    }

    private OciException size() {
        return new OciException(
                Kind.INVALID,
                "cannot %s: the registry sends %s bytes than the %d that are promised"
                        .formatted(purpose, done > descriptor.sizeBytes() ? "more" : "fewer", descriptor.sizeBytes()));
    }
}
