package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

final class CarriedNanosTest {
    private static final CarriedNanos VM = new CarriedNanos(
            "shop-worker-1",
            2,
            128,
            Path.of("/kernel"),
            Path.of("/vm/image"),
            "tap0",
            "02:00:00:00:00:01",
            Path.of("/vm/monitor"),
            Path.of("/vm/qemu.pid"));

    @Test
    void qemuHasWhatNanosNeedsAndOurKernelDoesNot() {
        List<String> words = VM.qemu(Path.of("/usr/bin/qemu-system-x86_64"), Accelerator.EMULATION);
        assertThat(words)
                .containsSequence("-M", "microvm,rtc=on,ioapic2=off,isa-serial=on")
                .containsSequence("-smp", "2", "-m", "128M")
                .containsSequence("-kernel", "/kernel")
                .containsSequence("-device", "isa-debug-exit,iobase=0x501,iosize=0x01")
                .containsSequence("-chardev", "pipe,id=monitor,path=/vm/monitor", "-mon", "chardev=monitor")
                .containsSequence("-pidfile", "/vm/qemu.pid")
                .contains("if=none,id=disk0,format=raw,snapshot=on,file=/vm/image")
                .anyMatch(word -> word.startsWith("on,obsolete=deny,elevateprivileges=deny"))
                .doesNotContain("-initrd", "-append");
        assertThat(CarriedVm.runs("shop-worker-1", words)).isTrue();
    }
}
