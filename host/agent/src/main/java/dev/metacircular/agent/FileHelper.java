package dev.metacircular.agent;

import dev.metacircular.agent.LinuxFiles.Failure;
import dev.metacircular.agent.LinuxFiles.Stat;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;

/**
 * Reads or writes one file below a service's folder, as a process of its own in the user namespace of the containers: there the
 * files of every component's user can be read and be given to it. It is told what to do on its standard input, so that names need not survive
 * a locale or a command line, and needs nothing but the JDK.
 *
 * <p>Nothing outside the service's folder is read or written, whatever others do to the folder meanwhile: every path is resolved by
 * openat2(2) with {@code RESOLVE_BENEATH}, and everything after that goes through open descriptors. A file is written beside its place under
 * another name, flushed, and renamed. Its end of input, also that of a dead agent, takes the unfinished file away.
 */
final class FileHelper {
    static final byte WRITE = 'W';
    static final byte READ = 'R';
    static final byte COLLECT = 'C';
    static final byte FAILED = 0;
    static final byte OK = 1;
    /** The exit status where the input ended early. */
    static final int ABORTED = 3;

    static final int CHUNK_BYTES = 64 << 10;
    static final int MAX_NAME_BYTES = 4096;
    /** What unfinished files are called, before sixteen hexadecimal digits. */
    static final String UNFINISHED = ".mcp-push-";

    private static final int BENEATH = LinuxFiles.RESOLVE_BENEATH | LinuxFiles.RESOLVE_NO_MAGICLINKS;
    private static final int FOLDER = LinuxFiles.O_DIRECTORY | LinuxFiles.O_RDONLY;
    private static final int FOLDER_MODE = 0755;
    private static final int UNFINISHED_MODE = 0600;

    private static final String LOOK = "look what is there: mcp exec SERVICE/COMPONENT -- ls -l FOLDER";
    private static final String AGAIN = "run the command again; nothing was changed";
    private static final String REPORT = "report it: the agent and its helper are of different versions";

    private final LinuxFiles files;
    private final DataInputStream in;
    private final DataOutputStream out;
    private final MemorySegment buffer;

    /** What was asked for cannot be done, and what to do; {@code kind} is the name of a problem's kind. */
    private static final class Refusal extends IOException {
        private static final long serialVersionUID = 1L;
        private final String kind;
        private final String next;

        Refusal(String kind, String what, String next) {
            super(what);
            this.kind = kind;
            this.next = next;
        }
    }

    private FileHelper(LinuxFiles files, DataInputStream in, DataOutputStream out) {
        this.files = files;
        this.in = in;
        this.out = out;
        this.buffer = files.buffer(CHUNK_BYTES);
    }

    /** Does the one thing that standard input asks for. */
    public static void main(String[] arguments) throws IOException {
        System.exit(serve(System.in, new FileOutputStream(FileDescriptor.out)));
    }

    /** @return the exit status */
    static int serve(InputStream input, OutputStream output) throws IOException {
        DataInputStream in = new DataInputStream(new BufferedInputStream(input, CHUNK_BYTES));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(output, CHUNK_BYTES + Integer.BYTES));
        try (LinuxFiles files = new LinuxFiles()) {
            new FileHelper(files, in, out).serve();
            return 0;
        } catch (EOFException e) {
            // Whoever asked has gone, and what was unfinished is away.
            return ABORTED;
        }
    }

    private void serve() throws IOException {
        byte operation = in.readByte();
        byte[] services = text();
        byte[] service = text();
        byte[] path = text();
        try {
            switch (operation) {
                case READ -> read(services, service, path, in.readLong());
                case WRITE -> write(services, service, path);
                case COLLECT -> collect(services, service, path, text());
                default -> throw new Refusal("INTERNAL", "unknown operation " + operation, REPORT);
            }
        } catch (Failure e) {
            fail(refusal(e));
        } catch (Refusal e) {
            fail(e);
        }
    }

    private void fail(Refusal refusal) throws IOException {
        out.writeByte(FAILED);
        out.writeUTF(refusal.kind);
        out.writeUTF(String.valueOf(refusal.getMessage()));
        out.writeUTF(refusal.next);
        out.flush();
    }

    private byte[] text() throws IOException {
        int length = in.readInt();
        if (length < 0 || length > MAX_NAME_BYTES) {
            throw new EOFException("a name of " + length + " bytes");
        }
        return in.readNBytes(length);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Refusal refusal(Failure failure) {
        return switch (failure.number()) {
            case LinuxFiles.ENOENT -> new Refusal("NOT_FOUND", "there is no such file or folder", LOOK);
            case LinuxFiles.ENOTDIR -> new Refusal("CONFLICT", "a part of the path is no folder", LOOK);
            case LinuxFiles.EISDIR ->
                new Refusal("CONFLICT", "it is a folder", "name a file in it: SERVICE:FOLDER/FILE");
            case LinuxFiles.EEXIST -> new Refusal("CONFLICT", "something of that name is in the way", LOOK);
            case LinuxFiles.EXDEV, LinuxFiles.ELOOP ->
                new Refusal("CONFLICT", "it leads out of the service's folder by a symbolic link", LOOK);
            case LinuxFiles.EAGAIN -> new Refusal("CONFLICT", "others keep renaming folders on its path", AGAIN);
            case LinuxFiles.ENAMETOOLONG ->
                new Refusal("INVALID", "a part of the path is longer than 255 bytes", "give a shorter one");
            case LinuxFiles.ENOSPC ->
                new Refusal(
                        "EXHAUSTED", "the node's disk is full", "free space there: mcp node clean NODE, or old data");
            case LinuxFiles.EDQUOT ->
                new Refusal("EXHAUSTED", "the disk quota is used up", "remove what is not needed, or raise the quota");
            case LinuxFiles.EFBIG ->
                new Refusal("EXHAUSTED", "the file system takes no file of that size", "push it in parts");
            case LinuxFiles.EROFS ->
                new Refusal("FAILED", "it is on a file system that is mounted read-only", "mount it for writing");
            case LinuxFiles.EACCES, LinuxFiles.EPERM ->
                new Refusal(
                        "FAILED",
                        "it belongs to a user of the node who is none of the containers', or is marked immutable",
                        "give it to a user of the containers: podman unshare chown, as the operator's guide says");
            case LinuxFiles.ENOSYS ->
                new Refusal("UNSUPPORTED", "the node's kernel is older than 5.6: no openat2", "upgrade it");
            case LinuxFiles.EIO -> new Refusal("FAILED", "input/output error", "look at the node's disk: dmesg");
            default -> new Refusal("FAILED", failure.getMessage() + " (see errno(3))", "mcp doctor NODE");
        };
    }

    private int services(byte[] services) throws IOException {
        return files.open(LinuxFiles.HERE, services, FOLDER, 0, 0);
    }

    private int service(int services, byte[] service, boolean make) throws IOException {
        int resolve = LinuxFiles.RESOLVE_BENEATH | LinuxFiles.RESOLVE_NO_SYMLINKS;
        try {
            return files.open(services, service, FOLDER, 0, resolve);
        } catch (Failure e) {
            if (!make || e.number() != LinuxFiles.ENOENT) {
                throw e;
            }
        }
        files.makeFolder(services, service, FOLDER_MODE);
        files.sync(services);
        return files.open(services, service, FOLDER, 0, resolve);
    }

    private void read(byte[] services, byte[] service, byte[] path, long limit) throws IOException {
        int folder = service(services(services), service, false);
        // First without opening what may be a device or a FIFO.
        int found = files.open(folder, path, LinuxFiles.O_PATH, 0, BENEATH);
        Stat stat = files.stat(found);
        if (!stat.isRegular()) {
            throw new Refusal("CONFLICT", "it is " + stat.type() + ": only files can be pulled", LOOK);
        }
        if (stat.links() != 1) {
            throw new Refusal(
                    "CONFLICT",
                    "it has " + stat.links() + " names (hard links), and not all may be the service's",
                    "pull a copy of it: mcp exec SERVICE/COMPONENT -- cp FILE COPY");
        }
        if (stat.size() > limit) {
            throw tooLarge(stat.size(), limit);
        }
        int file = files.open(LinuxFiles.HERE, bytes("/proc/self/fd/" + found), LinuxFiles.O_RDONLY, 0, 0);
        out.writeByte(OK);
        out.writeLong(stat.size());
        out.writeInt(stat.permissions());
        out.flush();
        long done = 0;
        byte[] chunk = new byte[CHUNK_BYTES];
        for (int n = files.read(file, buffer); n > 0; n = files.read(file, buffer)) {
            done += n;
            if (done > limit) {
                out.writeInt(-1);
                throw tooLarge(done, limit);
            }
            MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, 0, chunk, 0, n);
            out.writeInt(n);
            out.write(chunk, 0, n);
        }
        out.writeInt(0);
        out.flush();
    }

    private static Refusal tooLarge(long size, long limit) {
        return new Refusal(
                "EXHAUSTED",
                "it has " + size + " bytes, and this node moves at most " + limit,
                "raise [files] max_mb in the node's agent.toml");
    }

    private void write(byte[] services, byte[] service, byte[] path) throws IOException {
        byte[] unfinished = text();
        int mode = in.readInt();
        boolean parents = in.readBoolean();
        long limit = in.readLong();
        int slash = lastSlash(path);
        byte[] above = Arrays.copyOf(path, Math.max(slash, 0));
        byte[] name = Arrays.copyOfRange(path, slash + 1, path.length);
        int root = service(services(services), service, true);
        int folder = above.length == 0 ? root : folder(root, above, parents);
        Stat of = files.stat(folder);
        int uid = of.uid();
        int gid = of.gid();
        int permissions = mode & 0777;
        Optional<Stat> old = find(folder, name);
        if (old.isPresent()) {
            if (!old.get().isRegular()) {
                throw new Refusal("CONFLICT", "it is " + old.get().type() + ": only a file can be replaced", LOOK);
            }
            uid = old.get().uid();
            gid = old.get().gid();
            permissions = old.get().permissions();
        }
        int file = files.open(
                folder,
                unfinished,
                LinuxFiles.O_WRONLY | LinuxFiles.O_CREAT | LinuxFiles.O_EXCL | LinuxFiles.O_NOFOLLOW,
                UNFINISHED_MODE,
                BENEATH);
        boolean whole = false;
        try {
            files.owner(file, uid, gid);
            out.writeByte(OK);
            out.flush();
            long size = receive(file, limit);
            files.mode(file, permissions);
            files.sync(file);
            requireSame(root, above, folder, unfinished, file);
            files.rename(folder, unfinished, name);
            whole = true;
            if (!find(folder, name).filter(files.stat(file)::isSame).isPresent()) {
                throw new Refusal("CONFLICT", "something else took its place at the same moment", AGAIN);
            }
            files.sync(folder);
            out.writeByte(OK);
            out.writeLong(size);
            out.writeInt(permissions);
            out.flush();
        } finally {
            if (!whole) {
                remove(folder, unfinished);
            }
        }
    }

    /** The folder has not been moved away, and the unfinished file not been replaced, since they were opened. */
    private void requireSame(int root, byte[] above, int folder, byte[] unfinished, int file) throws IOException {
        Stat again = above.length == 0 ? files.stat(root) : files.stat(files.open(root, above, FOLDER, 0, BENEATH));
        if (!again.isSame(files.stat(folder))) {
            throw new Refusal("CONFLICT", "its folder was replaced while it was written", AGAIN);
        }
        if (!find(folder, unfinished).filter(files.stat(file)::isSame).isPresent()) {
            throw new Refusal("CONFLICT", "the unfinished file was replaced while it was written", AGAIN);
        }
    }

    private long receive(int file, long limit) throws IOException {
        long size = 0;
        byte[] chunk = new byte[CHUNK_BYTES];
        while (true) {
            int n = in.readInt();
            if (n == 0) {
                return size;
            }
            if (n < 0 || n > CHUNK_BYTES) {
                throw new Refusal("INTERNAL", "a chunk of " + n + " bytes", REPORT);
            }
            in.readFully(chunk, 0, n);
            size += n;
            if (size > limit) {
                throw tooLarge(size, limit);
            }
            MemorySegment.copy(chunk, 0, buffer, ValueLayout.JAVA_BYTE, 0, n);
            files.write(file, buffer, n);
        }
    }

    private void collect(byte[] services, byte[] service, byte[] path, byte[] unfinished) throws IOException {
        int slash = lastSlash(path);
        try {
            int root = service(services(services), service, false);
            int folder = slash <= 0 ? root : files.open(root, Arrays.copyOf(path, slash), FOLDER, 0, BENEATH);
            files.unlink(folder, unfinished);
        } catch (Failure e) {
            if (e.number() != LinuxFiles.ENOENT) {
                throw e;
            }
        }
        out.writeByte(OK);
        out.flush();
    }

    private static int lastSlash(byte[] path) {
        int i = path.length - 1;
        while (i >= 0 && path[i] != '/') {
            i--;
        }
        return i;
    }

    private Optional<Stat> find(int folder, byte[] name) throws IOException {
        try {
            return Optional.of(files.stat(folder, name));
        } catch (Failure e) {
            if (e.number() == LinuxFiles.ENOENT) {
                return Optional.empty();
            }
            throw e;
        }
    }

    private void remove(int folder, byte[] name) throws IOException {
        try {
            files.unlink(folder, name);
        } catch (Failure e) {
            if (e.number() != LinuxFiles.ENOENT) {
                throw e;
            }
        }
    }

    private int folder(int root, byte[] path, boolean make) throws IOException {
        try {
            return files.open(root, path, FOLDER, 0, BENEATH);
        } catch (Failure e) {
            if (e.number() != LinuxFiles.ENOENT) {
                throw e;
            }
            if (!make) {
                throw new Refusal(
                        "NOT_FOUND",
                        "there is no folder " + new String(path, StandardCharsets.UTF_8) + " in the service's",
                        "make it with --parents, or give another path");
            }
        }
        int slash = lastSlash(path);
        int above = slash <= 0 ? root : folder(root, Arrays.copyOf(path, slash), true);
        byte[] name = Arrays.copyOfRange(path, slash + 1, path.length);
        files.makeFolder(above, name, FOLDER_MODE);
        // Beneath the folder itself: what replaced it meanwhile is not followed.
        int made = files.open(above, name, FOLDER, 0, BENEATH | LinuxFiles.RESOLVE_NO_SYMLINKS);
        Stat of = files.stat(above);
        files.owner(made, of.uid(), of.gid());
        files.sync(above);
        return made;
    }
}
