package dev.metacircular.runtime.microvm;

import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Usage;
import dev.metacircular.vm.CarriedVm;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What VMMs take, by the kernel's word (proc(5)): resident memory and processor time of the one process that each is. */
final class VmmUsage {
    private static final Path PROC = Path.of("/proc");
    private static final long PAGE_BYTES = 4_096;
    private static final long TICK_MILLIS = 10;
    private static final int ARGUMENTS_BYTES_MAX = 16 << 10;
    /** Behind the name in parentheses, which is field 2. */
    private static final int USER_TIME = 14 - 3;

    private VmmUsage() {}

    /** @param names the VMs' names to their instances */
    static Map<InstanceId, Usage> of(Map<String, InstanceId> names) {
        Map<InstanceId, Usage> usage = new HashMap<>();
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(PROC, "[0-9]*")) {
            for (Path process : processes) {
                read(process, names, usage);
            }
        } catch (IOException e) {
            return Map.copyOf(usage);
        }
        return Map.copyOf(usage);
    }

    private static void read(Path process, Map<String, InstanceId> names, Map<InstanceId, Usage> usage) {
        try (InputStream file = Files.newInputStream(process.resolve("cmdline"))) {
            String text = new String(file.readNBytes(ARGUMENTS_BYTES_MAX), StandardCharsets.UTF_8);
            List<String> arguments = List.of(text.split("\0"));
            // The script and what starts the VMM have its arguments behind their own.
            if (!isVmm(arguments.getFirst())) {
                return;
            }
            for (Map.Entry<String, InstanceId> name : names.entrySet()) {
                if (text.contains(name.getKey()) && CarriedVm.runs(name.getKey(), arguments)) {
                    usage.put(name.getValue(), measure(process));
                }
            }
        } catch (IOException | NumberFormatException | IndexOutOfBoundsException _) {
            // It has ended meanwhile.
            return;
        }
    }

    /** A link's target may be named after its version, as Firecracker's releases are. */
    static boolean isVmm(String program) {
        String name = program.substring(program.lastIndexOf('/') + 1);
        return name.startsWith("qemu") || name.startsWith("firecracker") || name.equals("vmm");
    }

    private static Usage measure(Path process) throws IOException {
        String stat = Files.readString(process.resolve("stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
        long ticks = Long.parseLong(fields[USER_TIME]) + Long.parseLong(fields[USER_TIME + 1]);
        long pages = Long.parseLong(Files.readString(process.resolve("statm")).split(" ", -1)[1]);
        return new Usage(pages * PAGE_BYTES, Duration.ofMillis(ticks * TICK_MILLIS));
    }
}
