package dev.metacircular.runtime.podman;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Podman's resolver of names, aardvark-dns, and its files, as netavark 1.4 to 1.14 keep them below podman's run root: its process ID, and for
 * each network a file with the network's addresses in the first line and a container's ID, addresses and names in each further one. Only the
 * process that this process ID file names is ever signalled, and only if its command line says that it serves these files.
 */
final class Resolver {
    private static final String PROCESS = "aardvark.pid";
    private static final Pattern ID = Pattern.compile("[0-9a-f]{64}");
    /**
     * Interfaces of a rootless network namespace that no container is behind: the way out, and bridges as netavark names them. A container is
     * behind a veth; any other name may be one that somebody gave it.
     */
    private static final Pattern NOBODYS_INTERFACE = Pattern.compile("lo|tap[0-9]+|podman[0-9]+");

    private static final int INTERFACES_HEADER_LINES = 2;
    private static final Duration LOCK_LIMIT = Duration.ofSeconds(10);
    private static final Duration LOCK_LOOK = Duration.ofMillis(20);
    private static final Duration END_LIMIT = Duration.ofSeconds(1);
    private static final Duration KILL_LIMIT = Duration.ofSeconds(1);
    /** The kernel's locks of files are a process's, so its own threads must take turns. */
    private static final ReentrantLock TURN = new ReentrantLock();

    private static final Path PROC = Path.of("/proc");

    private final Path files;
    private final Path lock;

    /**
     * @param runRoot podman's, as it tells it
     * @param graphRoot likewise; its lock of networks is there, which it holds while netavark sets up or takes down a container's
     */
    Resolver(Path runRoot, Path graphRoot) {
        this.files = runRoot.resolve("networks/aardvark-dns");
        this.lock = graphRoot.resolve("networks/netavark.lock");
    }

    interface Work {
        void run() throws IOException, InterruptedException;
    }

    /** The lines about each container, by its ID, each behind the name of its file. */
    Map<String, List<String>> entries() throws IOException {
        Map<String, List<String>> entries = new TreeMap<>();
        for (Path file : networks()) {
            for (String line : lines(file)) {
                Optional<String> id = id(line);
                if (id.isPresent()) {
                    entries.computeIfAbsent(id.get(), _ -> new ArrayList<>()).add(file.getFileName() + " " + line);
                }
            }
        }
        return entries;
    }

    private static Optional<String> id(String line) {
        String first = line.split(" ", 2)[0];
        return ID.matcher(first).matches() ? Optional.of(first) : Optional.empty();
    }

    private List<Path> networks() throws IOException {
        List<Path> networks = new ArrayList<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(files, f -> !f.endsWith(PROCESS))) {
            all.forEach(networks::add);
        } catch (NoSuchFileException _) {
            return List.of();
        }
        return networks;
    }

    private static List<String> lines(Path file) throws IOException {
        try {
            return Files.readAllLines(file);
        } catch (NoSuchFileException _) {
            return List.of();
        }
    }

    /** The resolver's process, if it runs. */
    Optional<ProcessHandle> process() throws IOException {
        try {
            String text = Files.readString(files.resolve(PROCESS)).strip();
            return text.matches("[1-9][0-9]{0,8}")
                    ? ProcessHandle.of(Long.parseLong(text))
                            .filter(p -> arguments(p.pid()).contains(files.toString()))
                    : Optional.empty();
        } catch (NoSuchFileException _) {
            return Optional.empty();
        }
    }

    /** A process that is gone, or whose own it is to know, has none. */
    private static List<String> arguments(long pid) {
        try {
            String line = Files.readString(PROC.resolve(pid + "/cmdline"), StandardCharsets.ISO_8859_1);
            return line.isEmpty() ? List.of() : List.of(line.split("\0"));
        } catch (IOException | UncheckedIOException _) {
            return List.of();
        }
    }

    /**
     * Whether podman would tell of containers somebody who answers none: a resolver that none is connected to, or, where it has ended, whatever
     * process has its ID now. Sure only under the lock, for a container is connected before the resolver is told of it.
     */
    boolean isUseless() throws IOException {
        if (!Files.exists(files.resolve(PROCESS))) {
            return false;
        }
        Optional<ProcessHandle> process = process();
        return process.isEmpty() || isForsaken(process.get());
    }

    /** Whether no container is connected to the network namespace that it runs in. */
    private static boolean isForsaken(ProcessHandle resolver) throws IOException {
        List<String> interfaces;
        try {
            interfaces = Files.readAllLines(PROC.resolve(resolver.pid() + "/net/dev"));
        } catch (NoSuchFileException _) {
            return false;
        }
        return interfaces.size() > INTERFACES_HEADER_LINES
                && interfaces.stream()
                        .skip(INTERFACES_HEADER_LINES)
                        .map(line -> line.split(":", 2)[0].strip())
                        .allMatch(name -> NOBODYS_INTERFACE.matcher(name).matches());
    }

    /** Those of the containers that a process is there for: conmon while they run, podman when it cleans up after them. */
    static Set<String> attended(Set<String> containers) throws IOException {
        Set<String> attended = new HashSet<>();
        Predicate<Path> isProcess = p -> p.getFileName().toString().matches("[0-9]+");
        try (DirectoryStream<Path> all = Files.newDirectoryStream(PROC, isProcess::test)) {
            for (Path process : all) {
                for (String argument :
                        arguments(Long.parseLong(process.getFileName().toString()))) {
                    if (containers.contains(argument)) {
                        attended.add(argument);
                    }
                }
            }
        }
        return attended;
    }

    /** Does it while podman changes no container's network. */
    void locked(Work work) throws IOException, InterruptedException {
        long end = System.nanoTime() + LOCK_LIMIT.toNanos();
        if (!TURN.tryLock(LOCK_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
            throw new IOException("another thread holds " + lock);
        }
        try (FileChannel channel = FileChannel.open(lock, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            while (true) {
                try (FileLock held = channel.tryLock()) {
                    if (held != null) {
                        work.run();
                        return;
                    }
                }
                if (System.nanoTime() >= end) {
                    throw new IOException("podman holds " + lock + " for longer than " + LOCK_LIMIT.toSeconds() + " s");
                }
                Thread.sleep(LOCK_LOOK);
            }
        } finally {
            TURN.unlock();
        }
    }

    /**
     * Takes out containers whose lines are still those given, and files that tell of no container; under the lock.
     *
     * @return the containers taken out
     */
    Set<String> forget(Map<String, List<String>> containers) throws IOException {
        Map<String, List<String>> now = entries();
        Set<String> forgotten = new HashSet<>();
        containers.forEach((id, lines) -> {
            if (lines.equals(now.get(id))) {
                forgotten.add(id);
            }
        });
        for (Path file : networks()) {
            List<String> lines = lines(file);
            List<String> left = lines.stream()
                    .filter(line -> id(line).filter(forgotten::contains).isEmpty())
                    .toList();
            if (left.stream().allMatch(line -> id(line).isEmpty())) {
                Files.deleteIfExists(file);
            } else if (left.size() < lines.size()) {
                replace(file, left);
            }
        }
        return forgotten;
    }

    /** Whole or not at all, for the resolver ends where it reads half a file. */
    private void replace(Path file, List<String> lines) throws IOException {
        Path made = Files.createTempFile(files.resolveSibling(""), "mcp", ".tmp");
        try {
            Files.write(made, lines);
            Files.setPosixFilePermissions(made, Files.getPosixFilePermissions(file));
            Files.setOwner(made, Files.getOwner(file));
            Files.move(made, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(made);
        }
    }

    /** Has it read its files again, as netavark does; where they tell of no container it ends. */
    static void reread(ProcessHandle resolver) throws IOException, InterruptedException {
        // No program of its own: a shell has it built in, and Java no way to send this signal.
        Process kill = new ProcessBuilder("sh", "-c", "kill -s HUP " + resolver.pid())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        if (!kill.waitFor(KILL_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
            kill.destroyForcibly();
        }
    }

    /** Ends it where it is useless, and has podman begin another one for its next container; under the lock. */
    boolean retire() throws IOException, InterruptedException {
        if (!isUseless()) {
            return false;
        }
        Optional<ProcessHandle> process = process();
        if (process.isPresent()) {
            process.get().destroy();
            if (!hasEnded(process.get())) {
                process.get().destroyForcibly();
                if (!hasEnded(process.get())) {
                    throw new IOException("the process " + process.get().pid() + " does not end");
                }
            }
        }
        Files.deleteIfExists(files.resolve(PROCESS));
        return true;
    }

    /** A zombie, which its parent has not waited for, has ended. */
    private static boolean hasEnded(ProcessHandle process) throws InterruptedException {
        long end = System.nanoTime() + END_LIMIT.toNanos();
        while (!arguments(process.pid()).isEmpty() && System.nanoTime() < end) {
            Thread.sleep(LOCK_LOOK);
        }
        return arguments(process.pid()).isEmpty();
    }
}
