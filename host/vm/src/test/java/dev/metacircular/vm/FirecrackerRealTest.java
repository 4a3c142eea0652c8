package dev.metacircular.vm;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;

/** The same suite with the real Firecracker, where its binary and a KVM are at hand. */
class FirecrackerRealTest extends VmDriverConformance {
    @BeforeAll
    static void firecrackerAndKvmAreThere() {
        Requirement.of(
                System.getenv("FIRECRACKER") != null,
                FirecrackerRealTest.class,
                "FIRECRACKER does not name a Firecracker binary");
        Path kvm = Path.of("/dev/kvm");
        Requirement.of(
                Files.isReadable(kvm) && Files.isWritable(kvm),
                FirecrackerRealTest.class,
                "/dev/kvm is missing or may not be opened");
    }

    @Override
    protected VmDriver driver(Path vms) {
        return new FirecrackerDriver(
                Optional.ofNullable(System.getenv("FIRECRACKER")).map(Path::of), vms, folder.resolve("cache"));
    }
}
