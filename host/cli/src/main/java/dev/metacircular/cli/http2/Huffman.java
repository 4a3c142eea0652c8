package dev.metacircular.cli.http2;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** Decodes the Huffman code of RFC 7541, appendix B, which is canonical, so that its code lengths tell it all. */
final class Huffman {
    /** For each octet, and the end of string, its code's length in bits; 'A' is 5. */
    private static final String LENGTHS = "ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXXBFFHIBDGFFDGDBBBAAABBBBBBBCDKBHF"
            + "IBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJBKABABABBBACCBBBABCBAABCCCCCKGJIX"
            + "PRPPRRRSRSSSSSTSTTRSTSSSSQRSRSSTRQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRS"
            + "VVPORSRUVVVWWVTUOQVWWVWTQQVVXWWWPTPQRQQSRRUUTTVSVWVVWWWWWXWWWWWV"
            + "Z";

    private static final int SHORTEST_BITS = 5;
    private static final int LONGEST_BITS = 30;
    private static final int END_OF_STRING = 256;
    private static final int[] FIRST_CODE = new int[LONGEST_BITS + 1];
    private static final int[] FIRST_INDEX = new int[LONGEST_BITS + 2];
    private static final short[] SYMBOLS = new short[END_OF_STRING + 1];

    static {
        int index = 0;
        int code = 0;
        for (int bits = SHORTEST_BITS; bits <= LONGEST_BITS; bits++) {
            FIRST_CODE[bits] = code;
            FIRST_INDEX[bits] = index;
            for (int symbol = 0; symbol <= END_OF_STRING; symbol++) {
                if (LENGTHS.charAt(symbol) - 'A' + SHORTEST_BITS == bits) {
                    SYMBOLS[index++] = (short) symbol;
                    code++;
                }
            }
            code <<= 1;
        }
        FIRST_INDEX[LONGEST_BITS + 1] = index;
    }

    private Huffman() {}

    static String decode(byte[] block, int offset, int length) {
        byte[] text = new byte[length * 8 / SHORTEST_BITS + 1];
        int size = 0;
        int code = 0;
        int bits = 0;
        for (int bit = 0; bit < length * 8; bit++) {
            code = (code << 1) | ((block[offset + (bit >> 3)] >> (7 - (bit & 7))) & 1);
            bits++;
            if (bits > LONGEST_BITS) {
                throw malformed();
            }
            int nth = code - FIRST_CODE[bits];
            if (bits >= SHORTEST_BITS && nth >= 0 && nth < FIRST_INDEX[bits + 1] - FIRST_INDEX[bits]) {
                short symbol = SYMBOLS[FIRST_INDEX[bits] + nth];
                if (symbol == END_OF_STRING) {
                    throw malformed();
                }
                text[size++] = (byte) symbol;
                code = 0;
                bits = 0;
            }
        }
        boolean paddedWithOnes = bits < 8 && code == (1 << bits) - 1;
        if (!paddedWithOnes) {
            throw malformed();
        }
        return new String(text, 0, size, StandardCharsets.ISO_8859_1);
    }

    private static UncheckedIOException malformed() {
        return new UncheckedIOException(new IOException("malformed Huffman code in a header"));
    }
}
