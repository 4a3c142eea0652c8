package dev.metacircular.vm;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * The files of one VM. What the VMM and its supervisor write here is all that a later process needs to take the VM over.
 *
 * @param path the directory, absolute
 */
record StateDirectory(Path path) {
    static final String SCRIPT = "supervise.sh";
    static final String QMP_SOCKET = "qmp.sock";
    static final String API_SOCKET = "api.sock";
    static final String CHANNEL = "channel";
    static final String INITRD = "initrd";
    static final String CONSOLE_PREFIX = "console.";
    private static final String RECORD = "vm.json";
    private static final String PIDS = "pids";
    private static final String ERRORS = "errors";
    private static final String EXIT = "exit";
    private static final String SERIAL_INPUT = "serial.in";
    private static final String FORCED = "forced";
    private static final String FAILURE = "failure";
    private static final String UP = "up";
    private static final String SUPERVISOR_LOG = "supervisor.log";

    /** The processes that serve one VM. */
    record Pids(ProcessIdentity supervisor, ProcessIdentity vmm) {}

    StateDirectory {
        path = path.toAbsolutePath().normalize();
    }

    /** Makes the directory for this user alone. */
    void create(VmId id) {
        try {
            Path parent = path.getParent();
            if (parent != null) {
                Files.createDirectories(parent);
            }
            Files.createDirectory(
                    path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        } catch (FileAlreadyExistsException e) {
            throw new VmException(
                    Files.isDirectory(path) ? VmException.Fault.NAME_TAKEN : VmException.Fault.REQUEST,
                    "VM " + id + " exists already (" + path + "): remove it first, or choose another name",
                    e);
        } catch (IOException e) {
            throw cannot("make the state directory of VM " + id, path, e);
        }
    }

    /** Notes when the VMM was ready. It is for people alone, so a note that cannot be written is no failure of the VM's. */
    void noteUp(Instant at) {
        try {
            Files.writeString(path.resolve(UP), at.toString());
        } catch (IOException e) {
            return;
        }
    }

    /** What {@link #noteUp} wrote. */
    Optional<Instant> up() {
        try {
            return Optional.of(Instant.parse(Files.readString(path.resolve(UP))));
        } catch (IOException | DateTimeParseException e) {
            return Optional.empty();
        }
    }

    Path channel() {
        return path.resolve(CHANNEL);
    }

    Path serialInput() {
        return path.resolve(SERIAL_INPUT);
    }

    Path supervisorLog() {
        return path.resolve(SUPERVISOR_LOG);
    }

    Path qmpSocket() {
        return path.resolve(QMP_SOCKET);
    }

    Path apiSocket() {
        return path.resolve(API_SOCKET);
    }

    /** A segment of the console; segments are numbered from 0. */
    Path consoleSegment(long number) {
        return path.resolve(CONSOLE_PREFIX + "%06d".formatted(number));
    }

    /** Numbers of the console segments that exist, ascending. */
    List<Long> consoleSegments() {
        try (Stream<Path> files = Files.list(path)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.matches("console\\.[0-9]{6}"))
                    .map(name -> Long.parseLong(name.substring(CONSOLE_PREFIX.length())))
                    .sorted()
                    .toList();
        } catch (NoSuchFileException removed) {
            return List.of();
        } catch (IOException e) {
            throw cannot("list the console", path, e);
        }
    }

    void writeScript() {
        try (InputStream script = StateDirectory.class.getResourceAsStream(SCRIPT)) {
            if (script == null) {
                throw new IllegalStateException("resource " + SCRIPT + " is missing from the build");
            }
            Files.copy(script, path.resolve(SCRIPT));
        } catch (IOException e) {
            throw cannot("write", path.resolve(SCRIPT), e);
        }
    }

    void writeInitrd(ByteBuffer bytes) {
        Path file = path.resolve(INITRD);
        try (SeekableByteChannel channel = Files.newByteChannel(
                file,
                java.util.Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (IOException e) {
            throw cannot("write", file, e);
        }
    }

    void deleteInitrd() {
        delete(path.resolve(INITRD));
    }

    void writeRecord(String json) {
        replace(RECORD, json);
    }

    Optional<String> readRecord() {
        return read(RECORD, Limits.RECORD_FILE_BYTES_MAX);
    }

    Optional<Pids> pids() {
        return read(PIDS, Limits.RECORD_FILE_BYTES_MAX).flatMap(text -> {
            Optional<ProcessIdentity> supervisor = identity(text, "supervisor");
            Optional<ProcessIdentity> vmm = identity(text, "vmm");
            return supervisor.isPresent() && vmm.isPresent()
                    ? Optional.of(new Pids(supervisor.get(), vmm.get()))
                    : Optional.empty();
        });
    }

    private static Optional<ProcessIdentity> identity(String text, String name) {
        return text.lines()
                .map(line -> line.split(" ", -1))
                .filter(words -> words.length == 3
                        && words[0].equals(name)
                        && words[1].matches("[0-9]{1,18}")
                        && words[2].matches("[0-9]{1,18}"))
                .map(words -> new ProcessIdentity(Long.parseLong(words[1]), Long.parseLong(words[2])))
                .findFirst();
    }

    /** The VMM's exit code, there when console and errors are complete. */
    OptionalInt exitCode() {
        return read(EXIT, Limits.RECORD_FILE_BYTES_MAX)
                .map(String::strip)
                .filter(text -> text.matches("[0-9]{1,3}"))
                .map(text -> OptionalInt.of(Integer.parseInt(text)))
                .orElse(OptionalInt.empty());
    }

    String errors() {
        return read(ERRORS, Limits.VMM_ERROR_BYTES_MAX).orElse("");
    }

    String supervisorErrors() {
        return read(SUPERVISOR_LOG, Limits.VMM_ERROR_BYTES_MAX).orElse("");
    }

    /** Notes that a forced end comes from this library. */
    void markForced() {
        replace(FORCED, "");
    }

    boolean isForced() {
        return Files.exists(path.resolve(FORCED));
    }

    /** Notes why this library ended a VMM that had failed. */
    void markFailed(String why) {
        replace(FAILURE, why);
    }

    Optional<String> failure() {
        return read(FAILURE, Limits.RECORD_FILE_BYTES_MAX);
    }

    /** Removes what only a running VM needs; the supervisor does it too, unless it was killed. */
    void removeRuntimeFiles() {
        List.of(SERIAL_INPUT, QMP_SOCKET, API_SOCKET, INITRD).forEach(name -> delete(path.resolve(name)));
    }

    void deleteAll() {
        List<Path> files;
        try (Stream<Path> listed = Files.list(path)) {
            files = listed.toList();
        } catch (NoSuchFileException gone) {
            return;
        } catch (IOException e) {
            throw cannot("list", path, e);
        }
        // The record last: what is left after an interruption is still recognised as a VM.
        files.stream().filter(file -> !file.endsWith(RECORD)).forEach(StateDirectory::delete);
        delete(path.resolve(RECORD));
        delete(path);
    }

    private Optional<String> read(String name, int limitBytes) {
        try (InputStream in = Files.newInputStream(path.resolve(name))) {
            return Optional.of(new String(in.readNBytes(limitBytes), StandardCharsets.UTF_8));
        } catch (NoSuchFileException absent) {
            return Optional.empty();
        } catch (IOException e) {
            throw cannot("read", path.resolve(name), e);
        }
    }

    private void replace(String name, String text) {
        Path fresh = path.resolve(name + ".new");
        try {
            Files.writeString(fresh, text);
            Files.move(fresh, path.resolve(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (AtomicMoveNotSupportedException e) {
            throw new IllegalStateException(e);
        } catch (NoSuchFileException e) {
            throw new VmException(
                    VmException.Fault.REQUEST, "VM state directory " + path + " is gone: the VM was removed", e);
        } catch (IOException e) {
            throw cannot("write", path.resolve(name), e);
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw cannot("delete", file, e);
        }
    }

    static VmException cannot(String what, Path file, IOException e) {
        String why = e instanceof java.nio.file.FileSystemException f && f.getReason() != null
                ? f.getReason()
                : e instanceof java.nio.file.AccessDeniedException
                        ? "permission denied"
                        : e.getClass().getSimpleName() + (e.getMessage() == null ? "" : ": " + e.getMessage());
        return new VmException(VmException.Fault.HOST, "cannot " + what + " " + file + ": " + why, e);
    }
}
