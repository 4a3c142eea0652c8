package dev.metacircular.agent;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * One JSON object a line for each call: who, what, on what, with which outcome, how long; never a secret. A call that changes something
 * has a line at its beginning too. The file is rotated by size, and so many files are kept. Calls without a good token go into files of
 * their own, so that whoever can reach the port cannot push out what others did.
 */
final class AuditLog implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(AuditLog.class.getName());
    private static final JsonFactory JSON = new JsonFactory();
    static final String FILE = "audit.log";
    static final String REFUSED_FILE = "audit-refused.log";
    /** The outcome of a call that has not ended. */
    static final String BEGUN = "begun";

    static final long MAX_FILE_BYTES = 8L << 20;
    static final int FILES = 5;
    private static final int REFUSED_FILES = 2;
    private static final int MAX_TEXT_CHARS = 200;

    private final RotatedFile calls;
    private final RotatedFile refused;

    /**
     * A call at its beginning or its end.
     *
     * @param token the token's name, empty if none was good
     * @param target {@code service[/component]} or a token's name, empty for the node
     * @param outcome {@code ok}, {@link #BEGUN}, {@code cancelled}, or a problem's kind
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

    AuditLog(Path directory) throws IOException {
        this(directory, MAX_FILE_BYTES);
    }

    AuditLog(Path directory, long maxFileBytes) throws IOException {
        calls = new RotatedFile(directory.resolve(FILE), maxFileBytes, FILES);
        refused = new RotatedFile(directory.resolve(REFUSED_FILE), maxFileBytes, REFUSED_FILES);
    }

    void write(Entry entry) {
        try {
            (entry.token().isEmpty() ? refused : calls).write(line(entry));
        } catch (IOException e) {
            LOG.log(Level.SEVERE, "cannot write the audit log: " + Main.describe(e));
        }
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
    public void close() {
        try (calls;
                refused) {
            LOG.fine("the audit log ends");
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot close the audit log: " + Main.describe(e));
        }
    }
}
