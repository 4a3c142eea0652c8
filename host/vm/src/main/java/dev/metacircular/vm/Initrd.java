package dev.metacircular.vm;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** What the VMM hands to the guest as its initial RAM disk: for the kernel of this project, the run-time configuration. */
public sealed interface Initrd {
    /**
     * A file that the caller keeps until the VM has started.
     *
     * @param path the file
     */
    record File(Path path) implements Initrd {}

    /**
     * Bytes that may hold secrets: they exist as a file that only this user can read, and only until the VMM has read them.
     * They are not part of {@link #toString()}.
     */
    final class Content implements Initrd {
        private final ByteBuffer bytes;

        private Content(ByteBuffer bytes) {
            if (bytes.remaining() > Limits.INITRD_CONTENT_BYTES_MAX) {
                throw new VmException(
                        VmException.Fault.REQUEST,
                        "initrd of " + bytes.remaining() + " bytes: at most " + Limits.INITRD_CONTENT_BYTES_MAX
                                + " can be given as content; give a file");
            }
            this.bytes = bytes;
        }

        ByteBuffer bytes() {
            return bytes.duplicate();
        }

        @Override
        public String toString() {
            return "Content[" + bytes.remaining() + " bytes]";
        }
    }

    /** The bytes between position and limit, copied. */
    static Initrd of(ByteBuffer bytes) {
        ByteBuffer copy = ByteBuffer.allocate(bytes.remaining());
        copy.put(bytes.duplicate()).flip();
        return new Content(copy.asReadOnlyBuffer());
    }

    /** The text in UTF-8. */
    static Initrd of(String text) {
        return of(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
    }
}
