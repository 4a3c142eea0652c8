package dev.metacircular.vm;

import java.nio.file.Path;
import java.util.Optional;

/** The QEMU that tests run: {@code QEMU} in the environment, or the one on the search path. */
final class QemuForTests {
    private QemuForTests() {}

    static Optional<Path> find() {
        return Optional.ofNullable(System.getenv("QEMU"))
                .map(Path::of)
                .or(() -> QemuDriver.findIn(
                        Optional.ofNullable(System.getenv("PATH")).orElse("")));
    }

    static void require(Class<?> tests) {
        Requirement.of(
                find().isPresent(), tests, "no qemu-system-x86_64 on the search path, and QEMU does not name one");
    }
}
