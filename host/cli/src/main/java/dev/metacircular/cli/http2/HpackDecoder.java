package dev.metacircular.cli.http2;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/** Reads header blocks of RFC 7541; one for each connection, since the peer's table grows from block to block. */
final class HpackDecoder {
    /** The longest header list that is accepted, counted as in RFC 9113, section 6.5.2. */
    static final int MAX_LIST_BYTES = 64 * 1024;

    private static final int MAX_TABLE_BYTES = 4096;
    /** RFC 7541, appendix A: name and value by turns, {@code |} between entries, {@code =} before a value. */
    private static final String[] STATIC =
            (":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|"
                            + ":scheme=https|:status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|"
                            + "accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|"
                            + "access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|"
                            + "content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|"
                            + "date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|"
                            + "if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|"
                            + "range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|"
                            + "user-agent|vary|via|www-authenticate")
                    .split("\\|");

    private final ArrayDeque<Header> table = new ArrayDeque<>();
    private int tableBytes;
    private int tableLimitBytes = MAX_TABLE_BYTES;
    private byte[] block = {};
    private int at;

    /** @throws UncheckedIOException if the block is malformed or too long; the connection is then of no more use */
    List<Header> decode(byte[] headerBlock) {
        block = headerBlock;
        at = 0;
        List<Header> headers = new ArrayList<>();
        int listBytes = 0;
        while (at < block.length) {
            int first = block[at] & 0xff;
            if ((first & 0x80) != 0) {
                headers.add(indexed(integer(7)));
            } else if ((first & 0x40) != 0) {
                Header header = literal(integer(6));
                remember(header);
                headers.add(header);
            } else if ((first & 0x20) != 0) {
                resize(integer(5));
                continue;
            } else {
                headers.add(literal(integer(4)));
            }
            listBytes += headers.getLast().sizeBytes();
            if (listBytes > MAX_LIST_BYTES) {
                throw malformed("a header list of more than " + MAX_LIST_BYTES + " bytes");
            }
        }
        return headers;
    }

    private Header literal(int nameIndex) {
        String name = nameIndex == 0 ? string() : indexed(nameIndex).name();
        return new Header(name, string());
    }

    private Header indexed(int index) {
        if (index < 1 || index > STATIC.length + table.size()) {
            throw malformed("a header index out of the table");
        }
        if (index > STATIC.length) {
            int skip = index - STATIC.length - 1;
            for (Header header : table) {
                if (skip-- == 0) {
                    return header;
                }
            }
        }
        String entry = STATIC[index - 1];
        int equals = entry.indexOf('=');
        return equals < 0 ? new Header(entry, "") : new Header(entry.substring(0, equals), entry.substring(equals + 1));
    }

    private void remember(Header header) {
        table.addFirst(header);
        tableBytes += header.sizeBytes();
        evict();
    }

    private void resize(int limitBytes) {
        if (limitBytes > MAX_TABLE_BYTES) {
            throw malformed("a header table larger than agreed");
        }
        tableLimitBytes = limitBytes;
        evict();
    }

    private void evict() {
        while (tableBytes > tableLimitBytes) {
            tableBytes -= table.removeLast().sizeBytes();
        }
    }

    private int integer(int prefixBits) {
        int max = (1 << prefixBits) - 1;
        int value = next() & max;
        if (value < max) {
            return value;
        }
        for (int shift = 0; shift <= 21; shift += 7) {
            int octet = next();
            value += (octet & 0x7f) << shift;
            if ((octet & 0x80) == 0) {
                return value;
            }
        }
        throw malformed("a header integer that is too large");
    }

    private String string() {
        boolean huffman = at < block.length && (block[at] & 0x80) != 0;
        int length = integer(7);
        if (length > block.length - at) {
            throw malformed("a header that ends early");
        }
        String text = huffman
                ? Huffman.decode(block, at, length)
                : new String(block, at, length, StandardCharsets.ISO_8859_1);
        at += length;
        return text;
    }

    private int next() {
        if (at >= block.length) {
            throw malformed("a header that ends early");
        }
        return block[at++] & 0xff;
    }

    private static UncheckedIOException malformed(String what) {
        return new UncheckedIOException(new IOException("the node sent " + what));
    }
}
