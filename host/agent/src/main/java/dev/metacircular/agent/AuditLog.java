package dev.metacircular.agent;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * One JSON object a line for each call: who, what, on what, with which outcome, how long; never a secret. The file is rotated by
 * size, and so many files are kept.
 */
final class AuditLog implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(AuditLog.class.getName());
    private static final JsonFactory JSON = new JsonFactory();
    static final long MAX_FILE_BYTES = 8L << 20;
    static final int FILES = 5;
    private static final int MAX_TEXT_CHARS = 200;

    private final Path file;
    private final long maxFileBytes;
    private OutputStream out;
    private long size;

    /**
     * A finished call.
     *
     * @param token the token's name, empty if none was good
     * @param target {@code service[/component]} or a token's name, empty for the node
     * @param outcome {@code ok}, or a problem's kind
     */
    record Entry(
            Instant time,
            String token,
            String role,
            String peer,
            String method,
            String target,
            String outcome,
            Duration duration,
            String idempotencyKey) {}

    AuditLog(Path file) throws IOException {
        this(file, MAX_FILE_BYTES);
    }

    AuditLog(Path file, long maxFileBytes) throws IOException {
        this.file = file;
        this.maxFileBytes = maxFileBytes;
        this.out = open();
    }

    private OutputStream open() throws IOException {
        if (!Files.exists(file)) {
            Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        }
        size = Files.size(file);
        return Files.newOutputStream(file, StandardOpenOption.APPEND);
    }

    synchronized void write(Entry entry) {
        try {
            byte[] line = line(entry);
            if (size > 0 && size + line.length > maxFileBytes) {
                rotate();
            }
            out.write(line);
            size += line.length;
        } catch (IOException e) {
            LOG.log(Level.SEVERE, "cannot write the audit log " + file + ": " + e.getMessage());
        }
    }

    private void rotate() throws IOException {
        out.close();
        for (int i = FILES - 1; i > 1; i--) {
            Path older = numbered(i - 1);
            if (Files.exists(older)) {
                Files.move(older, numbered(i), StandardCopyOption.REPLACE_EXISTING);
            }
        }
        Files.move(file, numbered(1), StandardCopyOption.REPLACE_EXISTING);
        out = open();
    }

    private Path numbered(int index) {
        return file.resolveSibling(file.getFileName() + "." + index);
    }

    private static byte[] line(Entry entry) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (JsonGenerator json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            json.writeStringField("time", entry.time().toString());
            json.writeStringField("token", entry.token());
            json.writeStringField("role", entry.role());
            json.writeStringField("peer", entry.peer());
            json.writeStringField("method", entry.method());
            json.writeStringField("target", cut(entry.target()));
            json.writeStringField("outcome", entry.outcome());
            json.writeNumberField("duration_ms", Math.round(entry.duration().toNanos() / 1_000.0) / 1_000.0);
            json.writeStringField("idempotency_key", cut(entry.idempotencyKey()));
            json.writeEndObject();
        }
        bytes.write('\n');
        return bytes.toByteArray();
    }

    private static String cut(String text) {
        return text.length() <= MAX_TEXT_CHARS ? text : text.substring(0, MAX_TEXT_CHARS);
    }

    @Override
    public synchronized void close() {
        try {
            out.close();
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot close the audit log " + file + ": " + e.getMessage());
        }
    }
}
