package dev.metacircular.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The judges of the format: erofs-utils and the kernel of this machine. A test that needs one skips with a reason where it is missing. */
final class Tools {
    private static final long TIMEOUT_SECONDS = 120;

    private Tools() {}

    record Result(int status, String output) {}

    static Result run(List<String> command) throws IOException, InterruptedException {
        Path output = Files.createTempFile("metacircular-image", ".out");
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
            if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor();
                throw new IOException(command + " did not end within " + TIMEOUT_SECONDS + " s");
            }
            return new Result(process.exitValue(), Files.readString(output, StandardCharsets.ISO_8859_1));
        } finally {
            Files.delete(output);
        }
    }

    static void succeed(String... command) throws IOException, InterruptedException {
        Result result = run(List.of(command));
        assertThat(result.status())
                .as("%s\n%s", String.join(" ", command), result.output())
                .isZero();
    }

    static void requireInstalled(String program) {
        boolean found = List.of("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin").stream()
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
        assumeTrue(found, program + " is not installed (apt-get install erofs-utils mount diffutils)");
    }

    static void fsck(Path image) throws IOException, InterruptedException {
        requireInstalled("fsck.erofs");
        succeed("fsck.erofs", "--extract", image.toString());
    }

    /** What a test does with a mounted image. */
    interface Mounted {
        void at(Path folder) throws Exception;
    }

    static void mounted(Path image, Path folder, Mounted body) throws Exception {
        requireInstalled("mount");
        Files.createDirectories(folder);
        Result result = run(List.of("mount", "-t", "erofs", "-o", "loop,ro", image.toString(), folder.toString()));
        assumeTrue(
                result.status() == 0 || isJudgement(result.output()),
                "this machine lets nobody here mount EROFS: " + result.output());
        assertThat(result.status()).as("mount: %s", result.output()).isZero();
        try {
            body.at(folder);
        } finally {
            succeed("umount", folder.toString());
        }
    }

    /** Whether a failure to mount speaks about the image rather than about the machine. */
    private static boolean isJudgement(String output) {
        return Files.isWritable(Path.of("/dev/loop-control"))
                && hasErofs()
                && !output.contains("permission denied")
                && !output.contains("must be superuser")
                && !output.contains("failed to setup loop device");
    }

    private static boolean hasErofs() {
        try {
            return Files.readString(Path.of("/proc/filesystems")).contains("\terofs");
        } catch (IOException e) {
            return false;
        }
    }

    /** Equal by {@code diff -r} without following links, and equal in type, mode, size, links and targets. */
    static void sameTree(Path left, Path right) throws IOException, InterruptedException {
        succeed("diff", "-r", "--no-dereference", left.toString(), right.toString());
        assertThat(listing(left)).isEqualTo(listing(right));
    }

    private static List<String> listing(Path folder) throws IOException, InterruptedException {
        Result result =
                run(List.of("find", folder.toString(), "-mindepth", "1", "-printf", "%P %y %m %n %l %s %U:%G\n"));
        assertThat(result.status()).isZero();
        // A directory's size is the file system's own affair.
        return result.output()
                .lines()
                .map(line -> line.replaceFirst("^(.*) d ([0-7]+) (\\d+)  \\d+ ", "$1 d $2 "))
                .sorted()
                .toList();
    }
}
