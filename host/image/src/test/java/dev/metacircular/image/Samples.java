package dev.metacircular.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Inputs that tests share. */
final class Samples {
    private Samples() {}

    /** The smallest file that counts as a kernel: one loadable segment at 1 MiB and the PVH note. */
    static byte[] kernel() {
        ByteBuffer elf = ByteBuffer.allocate(5000).order(ByteOrder.LITTLE_ENDIAN);
        elf.putInt(0, 0x464c457f).putInt(4, 0x010102).putShort(16, (short) 2).putShort(18, (short) 62);
        elf.putInt(20, 1).putLong(24, 0x100000).putLong(32, 64);
        elf.putShort(52, (short) 64).putShort(54, (short) 56).putShort(56, (short) 2);
        programHeader(elf, 64, 1, 4096, 0x100000, 904);
        programHeader(elf, 120, 4, 200, 0, 20);
        elf.putInt(200, 4).putInt(204, 4).putInt(208, 18);
        elf.put(212, "Xen\0".getBytes(StandardCharsets.US_ASCII)).putInt(216, 0x100000);
        for (int i = 4096; i < 5000; i++) {
            elf.put(i, (byte) 0xf4);
        }
        return elf.array();
    }

    private static void programHeader(ByteBuffer elf, int at, int type, long offset, long address, long bytes) {
        elf.putInt(at, type).putInt(at + 4, 5).putLong(at + 8, offset);
        elf.putLong(at + 16, address).putLong(at + 24, address);
        elf.putLong(at + 32, bytes).putLong(at + 40, bytes).putLong(at + 48, 4096);
    }

    static Manifest manifest() {
        return new Manifest(
                "sample",
                new AbiVersion(0, 1),
                "native",
                "/app/sample",
                "/app/sample",
                List.of("sample", "--greeting=hello world", "100%\n"),
                Map.of("LANG", "C"),
                List.of(Capability.of(Capability.Kind.LOG), Capability.parse("mem:exec-write,pin")),
                Map.of(),
                Map.of());
    }

    static ImageSpec spec(Node.Directory workload) {
        return new ImageSpec(manifest(), Content.of(kernel()), Optional.empty(), workload);
    }

    static Node.Directory directory() {
        return new Node.Directory(Attributes.of(0755));
    }

    static Node.RegularFile file(String text) {
        return file(text.getBytes(StandardCharsets.UTF_8));
    }

    static Node.RegularFile file(byte[] bytes) {
        return new Node.RegularFile(Attributes.of(0644), Content.of(bytes));
    }

    /** A small tree with one of everything. */
    static Node.Directory tree() {
        Node.RegularFile shared = file("two names");
        return directory()
                .add("app", directory().add("sample", new Node.RegularFile(Attributes.of(0755), Content.of(kernel()))))
                .add("empty", directory())
                .add("zero", file(new byte[0]))
                .add("first", shared)
                .add("link", Node.SymbolicLink.to("app/sample"))
                .add("second", shared)
                .add("-before-the-dot", file("x"));
    }
}
