package dev.metacircular.image;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/** Which blocks of a file hold anything but zeros, as runs in ascending order; found by reading the file once. */
final class SparseMap {
    /** Beyond this many runs the rest of a file counts as one: the map of a file stays below 16 MiB. */
    static final int MAX_RUNS = 1 << 20;

    private static final int BUFFER_BYTES = 1 << 20;
    private static final byte[] ZERO_BLOCK = new byte[ErofsFormat.BLOCK_BYTES];

    private final long fileBytes;
    private long[] runs = new long[16];
    private int count;

    private SparseMap(long fileBytes) {
        this.fileBytes = fileBytes;
    }

    /** Reads all of {@code content}. */
    static SparseMap of(Content content) throws IOException {
        SparseMap map = new SparseMap(content.sizeBytes());
        byte[] buffer = new byte[(int) Math.min(BUFFER_BYTES, ErofsFormat.alignUp(content.sizeBytes(), 4096))];
        try (InputStream in = content.open()) {
            long block = 0;
            int read;
            while ((read = in.readNBytes(buffer, 0, buffer.length)) > 0) {
                for (int at = 0; at < read; at += ErofsFormat.BLOCK_BYTES, block++) {
                    if (!isZero(buffer, at, Math.min(read, at + ErofsFormat.BLOCK_BYTES))) {
                        map.add(block);
                    }
                }
            }
        }
        return map;
    }

    static boolean isZero(byte[] bytes, int from, int to) {
        for (int at = from; at < to; at += ErofsFormat.BLOCK_BYTES) {
            int end = Math.min(to, at + ErofsFormat.BLOCK_BYTES);
            if (!Arrays.equals(bytes, at, end, ZERO_BLOCK, 0, end - at)) {
                return false;
            }
        }
        return true;
    }

    private void add(long block) {
        if (count > 0 && (runs[2 * count - 1] == block || count == MAX_RUNS)) {
            runs[2 * count - 1] = block + 1;
            return;
        }
        if (2 * count == runs.length) {
            runs = Arrays.copyOf(runs, 2 * runs.length);
        }
        runs[2 * count] = block;
        runs[2 * count + 1] = block + 1;
        count++;
    }

    /** Number of chunks of 2^bits blocks that hold data. */
    long chunksWithData(int bits) {
        long chunks = 0;
        long previous = -1;
        for (int i = 0; i < count; i++) {
            long first = Math.max(runs[2 * i] >> bits, previous + 1);
            long last = (runs[2 * i + 1] - 1) >> bits;
            if (last >= first) {
                chunks += last - first + 1;
                previous = last;
            }
        }
        return chunks;
    }

    /** Whether the last chunk of 2^bits blocks holds data. */
    private boolean lastChunkHasData(int bits) {
        long lastBlock = ErofsFormat.blocks(fileBytes) - 1;
        return count > 0 && (runs[2 * count - 1] - 1) >> bits == lastBlock >> bits;
    }

    /** Number of blocks that an image stores when chunks of 2^bits blocks are stored or left out; none beyond the file's end. */
    long storedBlocks(int bits) {
        long fileBlocks = ErofsFormat.blocks(fileBytes);
        long stored = chunksWithData(bits) << bits;
        long beyond = (chunks(bits) << bits) - fileBlocks;
        return lastChunkHasData(bits) ? stored - beyond : stored;
    }

    /** Number of chunks of 2^bits blocks that the file has. */
    long chunks(int bits) {
        return (ErofsFormat.blocks(fileBytes) + (1L << bits) - 1) >> bits;
    }

    /** Gets the chunks of 2^bits blocks that hold data, in ascending order. */
    void forEachChunkWithData(int bits, ChunkVisitor visitor) throws IOException {
        long previous = -1;
        for (int i = 0; i < count; i++) {
            long last = (runs[2 * i + 1] - 1) >> bits;
            for (long chunk = Math.max(runs[2 * i] >> bits, previous + 1); chunk <= last; chunk++) {
                visitor.visit(chunk);
                previous = chunk;
            }
        }
    }

    /** Takes one chunk's number. */
    interface ChunkVisitor {
        void visit(long chunk) throws IOException;
    }

    /**
     * The chunk size, as log2 of blocks, with which the file takes the least room, or −1 when storing it whole costs less than
     * {@code gainBytes} more.
     */
    int bestChunkBits(long gainBytes) {
        long whole = ErofsFormat.blocks(fileBytes) << ErofsFormat.BLOCK_BITS;
        long best = whole - gainBytes + 1;
        int bestBits = -1;
        for (int bits = 19; bits >= 0; bits--) {
            long cost = (storedBlocks(bits) << ErofsFormat.BLOCK_BITS) + chunks(bits) * ErofsFormat.CHUNK_ENTRY_BYTES;
            if (cost < best) {
                best = cost;
                bestBits = bits;
            }
        }
        return bestBits;
    }
}
