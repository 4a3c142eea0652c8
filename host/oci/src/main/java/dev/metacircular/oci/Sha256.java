package dev.metacircular.oci;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.regex.Pattern;

/**
 * A digest as registries write it.
 *
 * @param text {@code sha256:} and 64 lower-case hexadecimal digits
 */
public record Sha256(String text) {
    private static final String PREFIX = "sha256:";
    private static final Pattern FORM = Pattern.compile("sha256:[0-9a-f]{64}");

    public Sha256 {
        if (!FORM.matcher(text).matches()) {
            String shown = text.length() > 80 ? text.substring(0, 80) + "…" : text;
            throw new OciException(
                    OciException.Kind.INVALID, "'%s' is not a SHA-256 digest".formatted(OneLine.of(shown)));
        }
    }

    /** The digest of these bytes. */
    public static Sha256 of(byte[] bytes) {
        return finish(start().digest(bytes));
    }

    /** Whether this text is such a digest. */
    public static boolean isOne(String text) {
        return FORM.matcher(text).matches();
    }

    /** A digest to be fed. */
    public static MessageDigest start() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** What a digest that was fed gives; resets it. */
    public static Sha256 finish(MessageDigest digest) {
        return finish(digest.digest());
    }

    private static Sha256 finish(byte[] digest) {
        return new Sha256(PREFIX + HexFormat.of().formatHex(digest));
    }

    /** The hexadecimal digits alone. */
    public String hex() {
        return text.substring(PREFIX.length());
    }

    @Override
    public String toString() {
        return text;
    }
}
