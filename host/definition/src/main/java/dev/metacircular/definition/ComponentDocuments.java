package dev.metacircular.definition;

import dev.metacircular.model.Component;
import dev.metacircular.model.Problem;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.function.Supplier;

/**
 * A component as the document that goes over the wire and into the registry: the TOML of one {@code [[components]]}
 * table without {@code desired}, with the table's keys at the root. Its canonical form has one key a line in a fixed
 * order and leaves out every default, so that components of equal meaning have equal documents; see
 * docs/service-definition.md.
 */
public final class ComponentDocuments {
    /** The version that {@link #write} writes, and the newest that {@link #read} reads. */
    public static final int VERSION = 1;

    private static final Path NO_FILE = Path.of("document");

    private ComponentDocuments() {}

    /**
     * The canonical document, of {@link #VERSION}.
     *
     * @throws IllegalArgumentException if a duration is finer than a millisecond
     */
    public static String write(Component component) {
        StringBuilder out = new StringBuilder();
        ComponentWriter.keys(component).forEach(line -> append(out, line));
        component.health().ifPresent(health -> {
            out.append("\n[health]\n");
            ComponentWriter.health(health).forEach(line -> append(out, line));
        });
        return out.toString();
    }

    private static void append(StringBuilder out, ComponentWriter.Line line) {
        out.append(line.key()).append(" = ").append(line.value()).append('\n');
    }

    /**
     * Reads any document, canonical or not, with all the checks of a definition file.
     *
     * @throws dev.metacircular.model.ProblemException INVALID with all faults; UNSUPPORTED if the version is not known
     */
    public static Component read(int version, String toml) {
        if (version != VERSION) {
            throw Problem.of(
                            Problem.Kind.UNSUPPORTED,
                            "component document of version " + Integer.toUnsignedString(version)
                                    + ": this program knows version " + VERSION)
                    .next("update the older of the client and the agent")
                    .exception();
        }
        Faults faults = new Faults(NO_FILE);
        return Source.read(toml, Limits.DOCUMENT_BYTES, root -> component(root, faults), faults)
                .orThrow();
    }

    private static Supplier<Component> component(Table root, Faults faults) {
        ComponentReader.Reading reading = ComponentReader.read(root);
        root.reject("desired", "key 'desired'", "no such key: the desired state stands beside the document");
        root.rejectUnknown();
        PortConflicts.reject(reading.ports(), faults);
        return reading.component();
    }

    /** The SHA-256, in lower-case hex, of the canonical document: it names what an instance was made from. */
    public static String digest(Component component) {
        return digest(write(component));
    }

    /** @param canonical as {@link #write} wrote it */
    public static String digest(String canonical) {
        try {
            MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
            return HexFormat.of().formatHex(sha256.digest(canonical.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java runtime has SHA-256", e);
        }
    }
}
