package dev.metacircular.runtime.microvm;

import dev.metacircular.runtime.microvm.MicrovmOptions.Vmm;
import dev.metacircular.vm.CarriedVm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The programs of the node that a carrier runs. It sees {@code /usr} as the node has it, and nothing else. */
final class VmmPrograms {
    /** Where a VMM that does not lie below /usr is mounted. */
    static final Path MOUNTED = Path.of("/vmm/vmm");

    private static final Path USR = Path.of("/usr");
    private static final Pattern VERSION = Pattern.compile("[0-9]+(?:\\.[0-9]+)+");
    private static final Map<String, String> TOOLS = Map.of(
            "sh", "apt-get install dash",
            "ip", "apt-get install iproute2",
            "setpriv", "apt-get install util-linux",
            "od", "apt-get install coreutils");
    private static final List<Path> TOOL_FOLDERS = List.of(Path.of("/usr/sbin"), Path.of("/usr/bin"));
    /** Device files may be out of the agent's sight; what the kernel has is not. */
    private static final List<Path> TUN = List.of(Path.of("/sys/class/misc/tun"), Path.of("/dev/net/tun"));

    private static final List<Path> KVM = List.of(Path.of("/sys/class/misc/kvm"), Path.of("/dev/kvm"));

    private final String searchPath;
    private final Map<Path, Asked> versions = new ConcurrentHashMap<>();

    /** What a program was asked when it was of this age. */
    private record Asked(FileTime modified, CompletableFuture<Optional<String>> version) {
        /** Once there is an answer that is none, it is worth another question. */
        boolean holdsAt(FileTime time) {
            return modified.equals(time)
                    && (!version.isDone()
                            || (!version.isCompletedExceptionally()
                                    && version.join()
                                            .filter(v -> VERSION.matcher(v).find())
                                            .isPresent()));
        }
    }

    VmmPrograms(String searchPath) {
        this.searchPath = searchPath;
    }

    Optional<Path> find(Vmm vmm) {
        return CarriedVm.findIn(searchPath, vmm.program());
    }

    /** The path by which the carrier has it. */
    static Path inside(Path program) {
        return real(program).startsWith(USR) ? real(program) : MOUNTED;
    }

    static Path real(Path program) {
        try {
            return program.toRealPath();
        } catch (IOException e) {
            return program;
        }
    }

    /** Such as {@code QEMU 7.2.22}; without the number where the program does not tell it within the time. */
    String titleAndVersion(Vmm vmm, Path program, Duration wait) {
        FileTime modified = modified(program);
        CompletableFuture<Optional<String>> version = versions.compute(
                        program,
                        (p, before) -> before != null && before.holdsAt(modified)
                                ? before
                                : new Asked(modified, CompletableFuture.supplyAsync(() -> CarriedVm.version(p))))
                .version();
        try {
            Matcher number = VERSION.matcher(version.get(Math.max(0, wait.toNanos()), TimeUnit.NANOSECONDS)
                    .orElse(""));
            return number.find() ? vmm.title() + " " + number.group() : vmm.title();
        } catch (ExecutionException | TimeoutException e) {
            return vmm.title();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return vmm.title();
        }
    }

    private static FileTime modified(Path program) {
        try {
            return Files.getLastModifiedTime(program);
        } catch (IOException e) {
            return FileTime.fromMillis(0);
        }
    }

    /** What a carrier lacks besides the VMM, and what mends it. */
    static Optional<String> lacking() {
        for (Map.Entry<String, String> tool : TOOLS.entrySet()) {
            if (TOOL_FOLDERS.stream().noneMatch(f -> Files.isExecutable(f.resolve(tool.getKey())))) {
                return Optional.of("there is no " + tool.getKey() + " below /usr: " + tool.getValue());
            }
        }
        if (TUN.stream().noneMatch(Files::exists)) {
            return Optional.of("there is no /dev/net/tun: as root: modprobe tun");
        }
        return Optional.empty();
    }

    static boolean kernelHasKvm() {
        return KVM.stream().anyMatch(Files::exists);
    }
}
