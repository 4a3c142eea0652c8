package dev.metacircular.ukernel;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The source lines of a program's addresses, from DWARF line number programs of the versions 2 to 5 (DWARF 5, section 6.2). What cannot be
 * understood is left out: a damaged table gives fewer lines, never an error.
 */
final class LineTable {
    private static final int DW_LNCT_PATH = 1;
    private static final int DW_LNCT_DIRECTORY = 2;
    private static final int MAX_ROWS = 1 << 22;

    private final NavigableMap<Long, Optional<Place>> places = new TreeMap<>();
    private final byte[] lineStrings;
    private final byte[] strings;

    /** A line of a source file. */
    record Place(String file, int line) {
        @Override
        public String toString() {
            return file + ":" + line;
        }
    }

    private LineTable(ElfFile elf) {
        this.lineStrings = elf.section(".debug_line_str").orElse(new byte[0]);
        this.strings = elf.section(".debug_str").orElse(new byte[0]);
    }

    /** Reads the section {@code .debug_line}, where there is one. */
    static LineTable of(ElfFile elf) {
        LineTable table = new LineTable(elf);
        elf.section(".debug_line").ifPresent(section -> table.readUnits(little(section)));
        return table;
    }

    /** The line that an instruction belongs to. */
    Optional<Place> at(long address) {
        var entry = places.floorEntry(address);
        return entry == null ? Optional.empty() : entry.getValue();
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void readUnits(ByteBuffer section) {
        while (section.remaining() > 4) {
            long length = Integer.toUnsignedLong(section.getInt());
            if (length >= 0xffff_fff0L || length > section.remaining()) {
                return;
            }
            ByteBuffer unit = section.slice(section.position(), (int) length).order(ByteOrder.LITTLE_ENDIAN);
            section.position(section.position() + (int) length);
            try {
                readUnit(unit);
            } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException _) {
                // The rows that were read stand; the rest of a damaged unit is unknown.
            }
        }
    }

    private record Header(
            int minInstructionBytes, boolean statementDefault, int lineBase, int lineRange, List<Integer> operands) {}

    private void readUnit(ByteBuffer unit) {
        int version = Short.toUnsignedInt(unit.getShort());
        if (version < 2 || version > 5) {
            return;
        }
        if (version >= 5) {
            unit.getShort();
        }
        int headerBytes = unit.getInt();
        int program = unit.position() + headerBytes;
        int minInstructionBytes = Byte.toUnsignedInt(unit.get());
        if (version >= 4) {
            unit.get();
        }
        boolean statementDefault = unit.get() != 0;
        int lineBase = unit.get();
        int lineRange = Byte.toUnsignedInt(unit.get());
        int opcodeBase = Byte.toUnsignedInt(unit.get());
        List<Integer> operands = new ArrayList<>(List.of(0));
        for (int i = 1; i < opcodeBase; i++) {
            operands.add(Byte.toUnsignedInt(unit.get()));
        }
        List<String> files = version >= 5 ? filesOfVersion5(unit) : filesOfVersion4(unit);
        unit.position(program);
        if (lineRange > 0) {
            run(unit, new Header(minInstructionBytes, statementDefault, lineBase, lineRange, operands), files);
        }
    }

    private static List<String> filesOfVersion4(ByteBuffer unit) {
        List<String> directories = new ArrayList<>(List.of(""));
        for (String name = string(unit); !name.isEmpty(); name = string(unit)) {
            directories.add(name);
        }
        List<String> files = new ArrayList<>(List.of(""));
        for (String name = string(unit); !name.isEmpty(); name = string(unit)) {
            int directory = (int) unsigned(unit);
            unsigned(unit);
            unsigned(unit);
            files.add(join(directories, directory, name));
        }
        return files;
    }

    private List<String> filesOfVersion5(ByteBuffer unit) {
        List<String> directories = new ArrayList<>();
        entries(unit, (path, directory) -> directories.add(path));
        List<String> files = new ArrayList<>();
        entries(unit, (path, directory) -> files.add(join(directories, directory, path)));
        return files;
    }

    private interface EntryVisitor {
        void visit(String path, int directory);
    }

    private void entries(ByteBuffer unit, EntryVisitor visitor) {
        int formats = Byte.toUnsignedInt(unit.get());
        long[][] format = new long[formats][2];
        for (int i = 0; i < formats; i++) {
            format[i][0] = unsigned(unit);
            format[i][1] = unsigned(unit);
        }
        long count = unsigned(unit);
        if (count > unit.remaining()) {
            throw new IllegalArgumentException("more entries than bytes");
        }
        for (long i = 0; i < count; i++) {
            String path = "";
            int directory = 0;
            for (long[] field : format) {
                int form = (int) field[1];
                if (field[0] == DW_LNCT_PATH) {
                    path = text(unit, form);
                } else if (field[0] == DW_LNCT_DIRECTORY) {
                    directory = (int) number(unit, form);
                } else {
                    skip(unit, form);
                }
            }
            visitor.visit(path, directory);
        }
    }

    private String text(ByteBuffer unit, int form) {
        return switch (form) {
            case 0x08 -> string(unit);
            case 0x0e -> at(strings, unit.getInt());
            case 0x1f -> at(lineStrings, unit.getInt());
            default -> throw new IllegalArgumentException("form " + form);
        };
    }

    private static long number(ByteBuffer unit, int form) {
        return switch (form) {
            case 0x0b -> Byte.toUnsignedLong(unit.get());
            case 0x05 -> Short.toUnsignedLong(unit.getShort());
            case 0x06 -> Integer.toUnsignedLong(unit.getInt());
            case 0x0f -> unsigned(unit);
            default -> throw new IllegalArgumentException("form " + form);
        };
    }

    private void skip(ByteBuffer unit, int form) {
        switch (form) {
            case 0x1e -> unit.position(unit.position() + 16);
            case 0x07 -> unit.getLong();
            case 0x08, 0x0e, 0x1f -> text(unit, form);
            default -> number(unit, form);
        }
    }

    private static String join(List<String> directories, int directory, String name) {
        String folder = directory >= 0 && directory < directories.size() ? directories.get(directory) : "";
        return folder.isEmpty() || folder.equals(".") || name.startsWith("/") ? name : folder + "/" + name;
    }

    private void run(ByteBuffer unit, Header header, List<String> files) {
        long address = 0;
        int file = 1;
        int line = 1;
        while (unit.hasRemaining() && places.size() < MAX_ROWS) {
            int opcode = Byte.toUnsignedInt(unit.get());
            if (opcode >= header.operands().size()) {
                int adjusted = opcode - header.operands().size();
                address += (long) (adjusted / header.lineRange()) * header.minInstructionBytes();
                line += header.lineBase() + adjusted % header.lineRange();
                row(address, files, file, line);
                continue;
            }
            switch (opcode) {
                case 0 -> {
                    int length = (int) unsigned(unit);
                    int next = unit.position() + length;
                    int extended = length > 0 ? Byte.toUnsignedInt(unit.get()) : 0;
                    if (extended == 1) {
                        places.put(address, Optional.empty());
                        address = 0;
                        file = 1;
                        line = 1;
                    } else if (extended == 2) {
                        address = unit.getLong();
                    }
                    unit.position(next);
                }
                case 1 -> row(address, files, file, line);
                case 2 -> address += unsigned(unit) * header.minInstructionBytes();
                case 3 -> line += (int) signed(unit);
                case 4 -> file = (int) unsigned(unit);
                case 8 ->
                    address += (long) ((255 - header.operands().size()) / header.lineRange())
                            * header.minInstructionBytes();
                case 9 -> address += Short.toUnsignedLong(unit.getShort());
                default -> {
                    for (int i = 0; i < header.operands().get(opcode); i++) {
                        unsigned(unit);
                    }
                }
            }
        }
    }

    private void row(long address, List<String> files, int file, int line) {
        if (line > 0 && file >= 0 && file < files.size()) {
            places.put(address, Optional.of(new Place(files.get(file), line)));
        }
    }

    private static String string(ByteBuffer in) {
        int from = in.position();
        int to = from;
        while (in.get() != 0) {
            to++;
        }
        byte[] bytes = new byte[to - from];
        in.get(from, bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static String at(byte[] strings, int offset) {
        int to = offset;
        while (strings[to] != 0) {
            to++;
        }
        return new String(strings, offset, to - offset, StandardCharsets.UTF_8);
    }

    /** Unsigned LEB128. */
    private static long unsigned(ByteBuffer in) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte b = in.get();
            if (shift < 64) {
                value |= (long) (b & 0x7f) << shift;
            }
            if (b >= 0) {
                return value;
            }
        }
    }

    /** Signed LEB128. */
    private static long signed(ByteBuffer in) {
        long value = 0;
        int shift = 0;
        byte b;
        do {
            b = in.get();
            if (shift < 64) {
                value |= (long) (b & 0x7f) << shift;
            }
            shift += 7;
        } while (b < 0);
        return shift < 64 && (b & 0x40) != 0 ? value | -1L << shift : value;
    }
}
