package dev.metacircular.cli.http2;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Writes header blocks of RFC 7541 with literals alone: nothing is remembered, and credentials are never indexed. */
final class HpackEncoder {
    private static final int LITERAL_NOT_INDEXED = 0x00;
    private static final int LITERAL_NEVER_INDEXED = 0x10;
    private static final int PREFIX_7_MAX = 127;

    private HpackEncoder() {}

    static byte[] encode(List<Header> headers) {
        ByteArrayOutputStream block = new ByteArrayOutputStream(256);
        for (Header header : headers) {
            block.write(header.name().equals("authorization") ? LITERAL_NEVER_INDEXED : LITERAL_NOT_INDEXED);
            string(block, header.name());
            string(block, header.value());
        }
        return block.toByteArray();
    }

    private static void string(ByteArrayOutputStream block, String text) {
        byte[] octets = text.getBytes(StandardCharsets.ISO_8859_1);
        if (octets.length < PREFIX_7_MAX) {
            block.write(octets.length);
        } else {
            block.write(PREFIX_7_MAX);
            int rest = octets.length - PREFIX_7_MAX;
            while (rest >= 0x80) {
                block.write((rest & 0x7f) | 0x80);
                rest >>>= 7;
            }
            block.write(rest);
        }
        block.write(octets, 0, octets.length);
    }
}
