package dev.metacircular.image;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.regex.Pattern;

/**
 * A SHA-256 (FIPS 180-4).
 *
 * @param hex its 64 lower-case hexadecimal digits
 */
public record Digest(String hex) {
    private static final String PREFIX = "sha256:";
    private static final Pattern HEX = Pattern.compile("[0-9a-f]{64}");

    public Digest {
        if (!HEX.matcher(hex).matches()) {
            throw new ImageException(
                    "'%s' is not a SHA-256: it takes 64 lower-case hexadecimal digits.".formatted(hex));
        }
    }

    /** The digest with this text form, {@code sha256:} and the digits. */
    public static Digest parse(String text) {
        if (!text.startsWith(PREFIX)) {
            throw new ImageException("'%s' is not a digest: it must begin with 'sha256:'.".formatted(text));
        }
        return new Digest(text.substring(PREFIX.length()));
    }

    /** The digest of these bytes. */
    public static Digest of(byte[] bytes) {
        return of(sha256().digest(bytes), 0);
    }

    static Digest of(byte[] digest, int offset) {
        return new Digest(HexFormat.of().formatHex(digest, offset, offset + 32));
    }

    /** What {@link #of(byte[])} gives once {@code digest} is complete; resets it. */
    public static Digest finish(MessageDigest digest) {
        return of(digest.digest(), 0);
    }

    /** A new SHA-256 to be fed. */
    public static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** {@code sha256:} and the digits. */
    @Override
    public String toString() {
        return PREFIX + hex;
    }
}
