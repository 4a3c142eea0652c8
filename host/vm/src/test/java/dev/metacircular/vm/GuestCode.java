package dev.metacircular.vm;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** Assembles the few 32-bit instructions that a test guest needs. Jumps and calls are relative with 32 bits, to labels. */
final class GuestCode {
    private static final int STACK_TOP = 0x9000;
    private static final int SERIAL_DATA = 0x3f8;
    private static final int SERIAL_STATUS = 0x3fd;

    private final ByteArrayOutputStream code = new ByteArrayOutputStream();
    private final Map<String, Integer> labels = new HashMap<>();
    private final Map<Integer, String> relative = new HashMap<>();
    private final Map<Integer, String> absolute = new HashMap<>();

    /** Begins with a stack and the subroutines {@code put} (prints AL), {@code get} (reads into AL), {@code print} (text at ESI). */
    static GuestCode begin() {
        GuestCode g = new GuestCode();
        g.bytes(0xbc).int32(STACK_TOP).jump("main");
        // put: mov ah, al; wait until the transmitter is empty (status bit 5); send
        g.label("put").bytes(0x88, 0xc4);
        g.label("put.wait").in(SERIAL_STATUS).bytes(0xa8, 0x20).jumpIfZero("put.wait");
        g.bytes(0x88, 0xe0).out(SERIAL_DATA).ret();
        // get: wait until there is data (status bit 0); receive
        g.label("get")
                .in(SERIAL_STATUS)
                .bytes(0xa8, 0x01)
                .jumpIfZero("get")
                .in(SERIAL_DATA)
                .ret();
        // print: lodsb; test al, al; until zero
        g.label("print")
                .bytes(0xac, 0x84, 0xc0)
                .jumpIfZero("print.end")
                .call("put")
                .jump("print");
        g.label("print.end").ret();
        return g.label("main");
    }

    GuestCode print(String text) {
        String label = "text" + code.size();
        String after = "after" + code.size();
        // mov esi, text
        bytes(0xbe).address(label).call("print").jump(after);
        label(label).text(text).bytes(0);
        return label(after);
    }

    /**
     * Ends the VM. Where there is something at port 0x64 (Firecracker), by that, which takes effect some time later; otherwise (QEMU) by a triple
     * fault with an empty interrupt table.
     */
    GuestCode end() {
        String fault = "fault" + code.size();
        // in al, 0x64; nothing there reads as 0xff; mov al, 0xfe; out 0x64, al
        bytes(0xe4, 0x64)
                .compare(0xff)
                .jumpIfZero(fault)
                .bytes(0xb0, 0xfe, 0xe6, 0x64)
                .sleepForEver();
        return label(fault).tripleFault();
    }

    /** lidt of an empty table; ud2 */
    GuestCode tripleFault() {
        String table = "table" + code.size();
        return bytes(0x0f, 0x01, 0x1d)
                .address(table)
                .bytes(0x0f, 0x0b)
                .label(table)
                .bytes(0, 0, 0, 0, 0, 0);
    }

    /** cli; hlt: for ever, at no cost. */
    GuestCode sleepForEver() {
        return bytes(0xfa, 0xf4);
    }

    GuestCode in(int port) {
        return bytes(0x66, 0xba, port & 0xff, port >> 8, 0xec);
    }

    GuestCode out(int port) {
        return bytes(0x66, 0xba, port & 0xff, port >> 8, 0xee);
    }

    GuestCode ret() {
        return bytes(0xc3);
    }

    /** cmp al, value */
    GuestCode compare(int value) {
        return bytes(0x3c, value);
    }

    GuestCode jump(String label) {
        return bytes(0xe9).offset(label);
    }

    GuestCode call(String label) {
        return bytes(0xe8).offset(label);
    }

    GuestCode jumpIfZero(String label) {
        return bytes(0x0f, 0x84).offset(label);
    }

    GuestCode jumpIfNotZero(String label) {
        return bytes(0x0f, 0x85).offset(label);
    }

    GuestCode label(String name) {
        labels.put(name, code.size());
        return this;
    }

    GuestCode text(String text) {
        code.writeBytes(text.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    GuestCode bytes(int... values) {
        for (int value : values) {
            code.write(value);
        }
        return this;
    }

    GuestCode int32(int value) {
        return bytes(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff);
    }

    private GuestCode offset(String label) {
        relative.put(code.size(), label);
        return int32(0);
    }

    GuestCode address(String label) {
        absolute.put(code.size(), label);
        return int32(0);
    }

    /** A file that a VMM boots. */
    byte[] toElf() {
        byte[] bytes = code.toByteArray();
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        relative.forEach((at, label) -> buffer.putInt(at, target(label) - (at + Integer.BYTES)));
        absolute.forEach((at, label) -> buffer.putInt(at, PvhElf.LOAD_ADDRESS + target(label)));
        return PvhElf.of(bytes);
    }

    private int target(String label) {
        Integer target = labels.get(label);
        if (target == null) {
            throw new IllegalStateException("no label " + label);
        }
        return target;
    }
}
