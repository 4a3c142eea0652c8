package dev.metacircular.ukernel;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** A 64-bit little-endian ELF file in memory: its segments, sections and functions (System V ABI, ELF-64). */
final class ElfFile {
    private static final int MAGIC = 0x464c457f;
    private static final int PT_LOAD = 1;
    private static final int SHT_SYMTAB = 2;
    private static final int SHT_NOBITS = 8;
    private static final int STT_FUNC = 2;
    private static final long MAX_BYTES = 1 << 28;

    private final byte[] bytes;
    private final ByteBuffer elf;
    private final List<Section> sections;
    private final List<Loaded> segments;
    private final List<Function> functions;

    private record Section(String name, int type, long address, int offset, int size, int link) {}

    private record Loaded(long address, long size) {}

    /** A function and where it stands. */
    record Function(String name, long address, long sizeBytes) {}

    private ElfFile(byte[] bytes) {
        this.bytes = bytes;
        this.elf = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        this.sections = readSections();
        this.segments = readSegments();
        this.functions = readFunctions();
    }

    /**
     * Reads a file.
     *
     * @return empty if it is no such ELF file, or its structure is damaged
     */
    static Optional<ElfFile> read(Path file) throws IOException {
        if (Files.size(file) > MAX_BYTES) {
            return Optional.empty();
        }
        return of(Files.readAllBytes(file));
    }

    static Optional<ElfFile> of(byte[] bytes) {
        if (bytes.length < 64) {
            return Optional.empty();
        }
        ByteBuffer header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        if (header.getInt(0) != MAGIC || header.get(4) != 2 || header.get(5) != 1) {
            return Optional.empty();
        }
        try {
            return Optional.of(new ElfFile(bytes));
        } catch (IndexOutOfBoundsException
                | BufferUnderflowException
                | IllegalArgumentException
                | ArithmeticException e) {
            return Optional.empty();
        }
    }

    private List<Section> readSections() {
        int table = Math.toIntExact(elf.getLong(40));
        int count = Short.toUnsignedInt(elf.getShort(60));
        int names = Short.toUnsignedInt(elf.getShort(62));
        if (table == 0 || count == 0) {
            return List.of();
        }
        int nameTable = Math.toIntExact(elf.getLong(table + names * 64 + 24));
        List<Section> read = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int at = table + i * 64;
            read.add(new Section(
                    string(nameTable + elf.getInt(at)),
                    elf.getInt(at + 4),
                    elf.getLong(at + 16),
                    Math.toIntExact(elf.getLong(at + 24)),
                    Math.toIntExact(elf.getLong(at + 32)),
                    elf.getInt(at + 40)));
        }
        return read;
    }

    private String string(int from) {
        int to = from;
        while (bytes[to] != 0) {
            to++;
        }
        return new String(bytes, from, to - from, StandardCharsets.UTF_8);
    }

    /** A section's content. */
    Optional<byte[]> section(String name) {
        return sections.stream()
                .filter(section -> section.name().equals(name) && section.type() != SHT_NOBITS)
                .filter(section -> section.offset() >= 0
                        && section.size() >= 0
                        && section.size() <= bytes.length - section.offset())
                .findFirst()
                .map(section -> Arrays.copyOfRange(bytes, section.offset(), section.offset() + section.size()));
    }

    /** The functions of the symbol table in ascending order of address. */
    List<Function> functions() {
        return functions;
    }

    private List<Function> readFunctions() {
        List<Function> read = new ArrayList<>();
        for (Section table : sections) {
            if (table.type() != SHT_SYMTAB || table.link() < 0 || table.link() >= sections.size()) {
                continue;
            }
            int strings = sections.get(table.link()).offset();
            int count = Math.min(table.size(), bytes.length - table.offset()) / 24;
            for (int i = 0; i < count; i++) {
                int at = table.offset() + i * 24;
                if ((elf.get(at + 4) & 0xf) == STT_FUNC) {
                    read.add(new Function(string(strings + elf.getInt(at)), elf.getLong(at + 8), elf.getLong(at + 16)));
                }
            }
        }
        read.sort(Comparator.comparingLong(Function::address));
        return read;
    }

    /** Whether an address lies in a segment that is loaded. */
    boolean isLoaded(long address) {
        return segments.stream()
                .anyMatch(segment -> address >= segment.address() && address - segment.address() < segment.size());
    }

    private List<Loaded> readSegments() {
        int table = Math.toIntExact(elf.getLong(32));
        List<Loaded> loaded = new ArrayList<>();
        for (int i = 0; i < Short.toUnsignedInt(elf.getShort(56)); i++) {
            int at = table + i * 56;
            if (elf.getInt(at) == PT_LOAD) {
                loaded.add(new Loaded(elf.getLong(at + 16), elf.getLong(at + 40)));
            }
        }
        return loaded;
    }

    /**
     * The file without section headers and what only they lead to: what a kernel needs to load it, and nothing that names a folder.
     */
    byte[] loadedPart() {
        int table = Math.toIntExact(elf.getLong(32));
        int count = Short.toUnsignedInt(elf.getShort(56));
        long end = table + count * 56L;
        for (int i = 0; i < count; i++) {
            int at = table + i * 56;
            if (elf.getInt(at) == PT_LOAD) {
                end = Math.max(end, elf.getLong(at + 8) + elf.getLong(at + 32));
            }
        }
        byte[] part = Arrays.copyOf(bytes, Math.toIntExact(Math.min(end, bytes.length)));
        ByteBuffer header = ByteBuffer.wrap(part).order(ByteOrder.LITTLE_ENDIAN);
        header.putLong(40, 0).putShort(60, (short) 0).putShort(62, (short) 0);
        return part;
    }
}
