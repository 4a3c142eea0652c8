package dev.metacircular.vm;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

class QemuKvmTest extends VmDriverConformance {
    @BeforeAll
    static void kvmWorks(@TempDir Path cache) throws InterruptedException {
        QemuForTests.require(QemuKvmTest.class);
        ProbeCache.Answer answer = new KvmProbe(QemuForTests.find().orElseThrow(), cache).ask();
        Requirement.of(answer.usable(), QemuKvmTest.class, answer.reason());
    }

    @Override
    protected VmDriver driver(Path vms) {
        return new QemuDriver(QemuForTests.find(), vms, folder.resolve("cache"));
    }

    @Override
    protected VmSpec.Builder spec(TestGuest guest) {
        return super.spec(guest).accelerator(Accelerator.KVM);
    }
}
