package dev.metacircular.vm;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;

class QemuEmulationTest extends VmDriverConformance {
    @BeforeAll
    static void qemuIsInstalled() {
        QemuForTests.require(QemuEmulationTest.class);
    }

    @Override
    protected VmDriver driver(Path vms) {
        return new QemuDriver(QemuForTests.find(), vms, folder.resolve("cache"));
    }

    @Override
    protected VmSpec.Builder spec(TestGuest guest) {
        return super.spec(guest).accelerator(Accelerator.EMULATION);
    }
}
