package dev.metacircular.ukernel;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/** Makes text of console output that arrives in pieces: a character that is cut waits for its rest, and what is no UTF-8 is replaced. */
final class ConsoleText {
    private static final int CHARACTER_BYTES_MAX = 4;

    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    private ByteBuffer rest = ByteBuffer.allocate(0);

    /** The characters that are complete with these bytes; may be empty. */
    String add(byte[] bytes) {
        ByteBuffer input = ByteBuffer.allocate(rest.remaining() + bytes.length);
        input.put(rest).put(bytes).flip();
        CharBuffer output = CharBuffer.allocate(input.remaining() + CHARACTER_BYTES_MAX);
        decoder.decode(input, output, false);
        rest = ByteBuffer.allocate(input.remaining());
        rest.put(input).flip();
        return output.flip().toString();
    }
}
