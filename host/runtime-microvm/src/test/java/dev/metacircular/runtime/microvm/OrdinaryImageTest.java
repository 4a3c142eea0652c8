package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.image.Content;
import dev.metacircular.image.Manifest;
import dev.metacircular.oci.Descriptor;
import dev.metacircular.oci.MediaTypes;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.podman.RegistryOptions;
import dev.metacircular.vm.Accelerator;
import dev.metacircular.vm.ConsoleEvent;
import dev.metacircular.vm.ConsoleReader;
import dev.metacircular.vm.QemuDriver;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmId;
import dev.metacircular.vm.VmOutcome;
import dev.metacircular.vm.VmSpec;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What becomes of images that containers are made from. */
@Timeout(120)
final class OrdinaryImageTest extends StoreBench {
    @Test
    void aNativeProgramIsPackedWithTheNodesKernel() {
        Descriptor manifest = pushOrdinary(
                "v1",
                new OciImages.Recipe()
                        .entrypoint("/app/worker", "--fast")
                        .cmd("one", "two")
                        .env("A=1", "B=x=y", "bad")
                        .layer(nativeProgram())
                        .layer(new TarWriter().file("etc/worker.conf", "x")));
        Image image = images.pull(reference("v1"), NOBODY);
        assertThat(image.digest()).isEqualTo(manifest.digest().text());
        Manifest packed = manifest(image);
        assertThat(packed.name()).isEqualTo("worker");
        assertThat(packed.adapter()).isEqualTo("native");
        assertThat(packed.start()).isEqualTo("/app/worker").isEqualTo(packed.entry());
        assertThat(packed.arguments()).containsExactly("/app/worker", "--fast");
        assertThat(packed.environment()).isEqualTo(Map.of("A", "1", "B", "x=y"));
        assertThat(images.command(image.id())).containsExactly("one", "two");
        assertThat(files(image)).contains("/app/worker", "/etc/worker.conf").doesNotContain("/adapter");
    }

    @Test
    void aLinuxProgramIsPackedWithTheAdapterAndFoundOnItsPath() {
        pushOrdinary(
                "v1",
                new OciImages.Recipe()
                        .cmd("worker", "serve")
                        .env("PATH=/bin:/opt/bin")
                        .layerType(MediaTypes.LAYER_TAR)
                        .layer(linuxProgram()
                                .file("bin/worker", "not executable")
                                .link("opt/bin/worker", "../../app/worker")));
        Image image = images.pull(reference("v1"), NOBODY);
        Manifest packed = manifest(image);
        assertThat(packed.environment()).containsEntry("PATH", "/bin:/opt/bin").doesNotContainKey("PWD");
        assertThat(packed.adapter()).isEqualTo("linux");
        assertThat(packed.start()).isEqualTo("/adapter/linux");
        assertThat(packed.entry()).isEqualTo("/app/worker");
        assertThat(packed.arguments()).containsExactly("worker");
        assertThat(images.command(image.id())).containsExactly("serve");
        assertThat(packed.capabilities().stream().map(Object::toString)).contains("mem:exec-write", "net");
        assertThat(files(image)).contains("/adapter/linux");
    }

    @Test
    void anImageThatWasPackedIsNotPackedAgainUnlessTheKernelChanges() throws IOException {
        OciImages.Recipe recipe =
                new OciImages.Recipe().entrypoint("/app/worker").layer(linuxProgram());
        pushOrdinary("v1", recipe);
        Image one = images.pull(reference("v1"), NOBODY);
        pushOrdinary("v2", recipe);
        Image two = images.pull(reference("v2"), NOBODY);
        assertThat(two.id()).isEqualTo(one.id());
        assertThat(two.references()).hasSize(2);
        Object made = Files.getLastModifiedTime(images.file(one.id()));
        images.pull(reference("v1"), NOBODY);
        assertThat(Files.getLastModifiedTime(images.file(one.id()))).isEqualTo(made);

        Path other = folder.resolve("guest");
        for (String part : List.of("kernel/ukernel-full.elf", "adapters/linux", "sdk/include/ukernel.h")) {
            Files.createDirectories(other.resolve(part).getParent());
            Files.copy(guest.resolve(part), other.resolve(part));
        }
        Files.copy(
                guest.resolve("kernel/ukernel-net.elf"),
                other.resolve("kernel/ukernel-full.elf"),
                java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        guest = other;
        try {
            assertThat(reopened().pull(reference("v1"), NOBODY).id()).isNotEqualTo(one.id());
        } finally {
            guest = Path.of("../../guest/zig-out").toAbsolutePath().normalize();
        }
        assertThat(images.images()).hasSize(2);
        nothingHalfMade();
    }

    /** Busybox is a Linux program; what it prints shows arguments, environment, folder and files. */
    @Test
    void aPackedLinuxProgramBoots() throws Exception {
        Path busybox = Path.of("/bin/busybox");
        assumeTrue(Files.isExecutable(busybox), "busybox is not installed (apt-get install busybox-static)");
        assumeTrue(
                ElfProgram.of(Content.of(busybox.toRealPath())) instanceof ElfProgram.StaticLinux,
                "busybox is not static (apt-get install busybox-static)");
        assumeTrue(
                QemuDriver.findIn(System.getenv("PATH")).isPresent(),
                "QEMU is not installed (apt-get install qemu-system-x86)");
        pushOrdinary(
                "v1",
                new OciImages.Recipe()
                        .entrypoint("ls", "-l")
                        .env("PATH=/bin", "TZ=UTC")
                        .workingDirectory("/srv/data")
                        .layer(new TarWriter()
                                .file("usr/bin/busybox", 0755, Files.readAllBytes(busybox))
                                .link("bin", "usr/bin")
                                .hardLink("bin/ls", "usr/bin/busybox")
                                .file("srv/data/here-it-is", "12345")));
        Image image = images.pull(reference("v1"), NOBODY);
        QemuDriver driver = new QemuDriver(
                QemuDriver.findIn(System.getenv("PATH")), folder.resolve("vms"), folder.resolve("cache"));
        VirtualMachine vm = driver.start(VmSpec.ofImage(new VmId("packed"), images.file(image.id()))
                .accelerator(Accelerator.EMULATION)
                .memoryMebibytes(64)
                .build());
        try {
            VmOutcome outcome = vm.await(Duration.ofSeconds(60)).orElseThrow();
            String console = console(vm);
            assertThat(outcome)
                    .as(console)
                    .isInstanceOfSatisfying(
                            VmOutcome.Exited.class, e -> assertThat(e.status()).isZero());
            assertThat(console).containsPattern("1000 +1000 +5 Nov 14 +2023 here-it-is");
        } finally {
            vm.kill();
            vm.remove();
        }
    }

    private static String console(VirtualMachine vm) throws InterruptedException {
        StringBuilder seen = new StringBuilder();
        try (ConsoleReader console = vm.console()) {
            while (true) {
                switch (console.next(Duration.ofSeconds(5)).orElseThrow()) {
                    case ConsoleEvent.Output output -> seen.append(StandardCharsets.UTF_8.decode(output.bytes()));
                    case ConsoleEvent.Lost _ -> {}
                    case ConsoleEvent.End _ -> {
                        return seen.toString();
                    }
                }
            }
        }
    }

    @Test
    void ofAnIndexTheImageForThisMachineIsTaken() {
        try (RegistryClient registry = plain.client()) {
            OciImages images = new OciImages(registry);
            OciImages.Recipe recipe =
                    new OciImages.Recipe().entrypoint("/app/worker").layer(linuxProgram());
            Descriptor amd64 = images.push(repository, "amd64", recipe);
            Descriptor arm64 = images.push(repository, "arm64", recipe.architecture("arm64"));
            Descriptor index = images.pushIndex(repository, "v1", Map.of("amd64", amd64, "arm64", arm64));
            assertThat(this.images.pull(reference("v1"), NOBODY).digest())
                    .isEqualTo(index.digest().text());
            images.pushIndex(repository, "v2", Map.of("arm64", arm64));
        }
        fails(Kind.INVALID, () -> images.pull(reference("v2"), NOBODY), "not for linux/amd64, only for linux/arm64");
        fails(Kind.INVALID, () -> images.pull(reference("arm64"), NOBODY), "it is for linux/arm64");
    }

    private void refused(Kind kind, OciImages.Recipe recipe, String... why) {
        String tag = "t" + NEXT.incrementAndGet();
        pushOrdinary(tag, recipe);
        fails(kind, () -> images.pull(reference(tag), NOBODY), why);
    }

    private static OciImages.Recipe recipe(TarWriter layer) {
        return new OciImages.Recipe().entrypoint("/app/worker").layer(layer);
    }

    @Test
    void whatCannotRunIsRefusedWithTheReason() throws IOException {
        Kind no = Kind.INVALID;
        refused(no, new OciImages.Recipe().layer(linuxProgram()), "it names no program");
        refused(
                no,
                new OciImages.Recipe().cmd("/bin/sh", "-c", "worker").layer(linuxProgram()),
                "starts the shell '/bin/sh'");
        refused(no, new OciImages.Recipe().entrypoint("tini", "--", "worker").layer(linuxProgram()), "starts 'tini'");
        refused(no, new OciImages.Recipe().entrypoint("/nowhere").layer(linuxProgram()), "'/nowhere' is not in it");
        refused(no, new OciImages.Recipe().entrypoint("app").layer(linuxProgram()), "'app' is not in it");
        refused(no, recipe(new TarWriter().file("app/worker", "x")), "is not executable");
        refused(
                no,
                recipe(program("#!/usr/bin/python3\nprint(1)\n".getBytes(StandardCharsets.UTF_8))),
                "'/app/worker' is a script for '/usr/bin/python3'");
        refused(no, recipe(program("text".getBytes(StandardCharsets.UTF_8))), "is no ELF file");
        refused(no, recipe(program(OciImages.elf(183, ""))), "a program for ARM of 64 bits");
        refused(
                no,
                recipe(program(OciImages.elf(62, "/lib64/ld-linux-x86-64.so.2"))),
                "needs the interpreter '/lib64/ld-linux-x86-64.so.2'");
        byte[] newer = OciImages.nativeProgram(guest);
        int note = new String(newer, StandardCharsets.ISO_8859_1).indexOf("ukernel\0");
        newer[note + 12] = (byte) 200;
        refused(no, recipe(program(newer)), "version 0.200 of the kernel's interface");
        refused(no, recipe(linuxProgram()).layerType(MediaTypes.LAYER_ZSTD), "compressed by gzip");
        assertThat(images.images()).isEmpty();
        nothingHalfMade();
    }

    @Test
    void aDynamicProgramWithItsInterpreterIsTaken() {
        byte[] program = OciImages.elf(62, "/lib64/ld.so");
        pushOrdinary("v1", recipe(program(program).link("lib64", "usr/lib64").file("usr/lib64/ld.so", "x")));
        assertThat(manifest(images.pull(reference("v1"), NOBODY)).adapter()).isEqualTo("linux");
    }

    @Test
    void maliciousAndDamagedImagesAreRefusedAndLeaveNothing() throws IOException {
        images = new GuestImages(options(new GuestImageOptions.Limits(1 << 30, 4 << 20, 100, 10)));
        Kind bad = Kind.INVALID;
        refused(bad, recipe(linuxProgram().file("../../escape", "x")), "leads upwards");
        refused(bad, recipe(linuxProgram().entry('3', "app/disk", "", 0600, 0, new byte[0])), "a device or a pipe");
        refused(bad, recipe(linuxProgram().file("kernel", "x")), "'/kernel'");
        refused(bad, recipe(linuxProgram().file("d/".repeat(11) + "x", "")), "more than 10 deep");
        refused(
                bad,
                recipe(linuxProgram().file("zeros", 0644, new byte[5 << 20])),
                "unpack to more than 4194304 bytes");
        refused(bad, recipe(linuxProgram()).wrongDiffIds(), "its configuration says");
        refused(bad, recipe(linuxProgram()).layer(new byte[] {1, 2, 3}), "is damaged");
        TarWriter many = linuxProgram();
        for (int i = 0; i < 100; i++) {
            many.file("f" + i, "");
        }
        refused(bad, recipe(many), "more than 100 files");
        refused(bad, recipe(linuxProgram()).env("A=" + "x".repeat(70_000)), "manifest");
        assertThat(images.images()).isEmpty();
        assertThat(folder).isDirectoryNotContaining("glob:**escape");
        nothingHalfMade();
    }

    @Test
    void withoutAKernelOrdinaryImagesAreRefused() {
        pushOrdinary("v1", recipe(linuxProgram()));
        images = new GuestImages(GuestImageOptions.of(
                folder.resolve("other"), Map.of(plain.host(), RegistryOptions.plainHttp()), Optional.empty()));
        fails(Kind.UNSUPPORTED, () -> images.pull(reference("v1"), NOBODY), "no kernel to pack it with");
    }
}
