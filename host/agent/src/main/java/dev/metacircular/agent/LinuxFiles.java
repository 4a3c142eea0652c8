package dev.metacircular.agent;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Linux's calls on files relative to open folders (openat2(2), statx(2) and their like), which the JDK does not offer. Names are
 * bytes, whatever the locale. Confined to one thread.
 */
final class LinuxFiles implements AutoCloseable {
    static final int ENOENT = 2;
    static final int EIO = 5;
    static final int EAGAIN = 11;
    static final int EACCES = 13;
    static final int EPERM = 1;
    static final int EEXIST = 17;
    static final int EXDEV = 18;
    static final int ENOTDIR = 20;
    static final int EISDIR = 21;
    static final int EFBIG = 27;
    static final int ENOSPC = 28;
    static final int EROFS = 30;
    static final int ENAMETOOLONG = 36;
    static final int ENOSYS = 38;
    static final int ELOOP = 40;
    static final int EDQUOT = 122;

    static final int O_RDONLY = 0;
    static final int O_WRONLY = 1;
    static final int O_CREAT = 0x40;
    static final int O_EXCL = 0x80;
    static final int O_CLOEXEC = 0x80000;
    static final int O_PATH = 0x200000;
    /** The numbers of these two change with the processor. */
    static final int O_DIRECTORY = isArm() ? 0x4000 : 0x10000;

    static final int O_NOFOLLOW = isArm() ? 0x8000 : 0x20000;

    static final int RESOLVE_NO_MAGICLINKS = 0x02;
    static final int RESOLVE_NO_SYMLINKS = 0x04;
    static final int RESOLVE_BENEATH = 0x08;

    static final int HERE = -100;

    private static final int OPENAT2 = 437;
    private static final int AT_SYMLINK_NOFOLLOW = 0x100;
    private static final int AT_EMPTY_PATH = 0x1000;
    private static final int STATX_BASIC = 0x7ff;
    private static final int STATX_BYTES = 256;
    private static final int HOW_BYTES = 24;
    /** The kernel gives up on a path that others rename meanwhile; trying again is what it asks for. */
    private static final int TRIES = 128;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final StructLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO =
            STATE.varHandle(java.lang.foreign.MemoryLayout.PathElement.groupElement("errno"));
    /** Every call takes at most five words, and words that it does not take do no harm: so one stub serves all. */
    private static final MethodHandle CALL = stub();

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment state = arena.allocate(STATE);
    private final Deque<Integer> opened = new ArrayDeque<>();

    /** A call that failed. */
    static final class Failure extends IOException {
        private static final long serialVersionUID = 1L;
        private final int number;

        Failure(int number) {
            super("errno " + number);
            this.number = number;
        }

        int number() {
            return number;
        }
    }

    /** What statx(2) tells of a file. */
    record Stat(int mode, int links, int uid, int gid, long inode, long device, long size) {
        private static final int TYPE = 0xf000;

        boolean isRegular() {
            return (mode & TYPE) == 0x8000;
        }

        boolean isDirectory() {
            return (mode & TYPE) == 0x4000;
        }

        boolean isLink() {
            return (mode & TYPE) == 0xa000;
        }

        boolean isSame(Stat other) {
            return inode == other.inode && device == other.device;
        }

        int permissions() {
            return mode & 0777;
        }

        /** For a message. */
        String type() {
            return switch (mode & TYPE) {
                case 0x8000 -> "a file";
                case 0x4000 -> "a folder";
                case 0xa000 -> "a symbolic link";
                case 0x1000 -> "a FIFO";
                case 0xc000 -> "a socket";
                case 0x2000, 0x6000 -> "a device";
                default -> "no file";
            };
        }
    }

    private static boolean isArm() {
        return System.getProperty("os.arch", "").equals("aarch64");
    }

    @SuppressWarnings("restricted")
    private static MethodHandle stub() {
        ValueLayout.OfLong word = ValueLayout.JAVA_LONG;
        return LINKER.downcallHandle(
                FunctionDescriptor.of(word, word, word, word, word, word), Linker.Option.captureCallState("errno"));
    }

    private static MemorySegment function(String name) {
        return LINKER.defaultLookup()
                .find(name)
                .orElseThrow(() -> new UnsupportedOperationException("the C library has no " + name));
    }

    private static final MemorySegment SYSCALL = function("syscall");
    private static final MemorySegment STATX = function("statx");
    private static final MemorySegment FCHOWN = function("fchown");
    private static final MemorySegment FCHMOD = function("fchmod");
    private static final MemorySegment FSYNC = function("fsync");
    private static final MemorySegment RENAMEAT = function("renameat");
    private static final MemorySegment UNLINKAT = function("unlinkat");
    private static final MemorySegment MKDIRAT = function("mkdirat");
    private static final MemorySegment WRITE = function("write");
    private static final MemorySegment READ = function("read");
    private static final MemorySegment CLOSE = function("close");

    private long call(MemorySegment function, long a, long b, long c, long d, long e) throws Failure {
        int result;
        try {
            result = (int) (long) CALL.invokeExact(function, state, a, b, c, d, e);
        } catch (RuntimeException | Error failure) {
            throw failure;
        } catch (Throwable failure) {
            throw new IllegalStateException(failure);
        }
        if (result < 0) {
            throw new Failure((int) ERRNO.get(state, 0L));
        }
        return result;
    }

    private static MemorySegment text(Arena scope, byte[] name) {
        MemorySegment text = scope.allocate(name.length + 1L);
        MemorySegment.copy(name, 0, text, ValueLayout.JAVA_BYTE, 0, name.length);
        return text;
    }

    /** @return a descriptor, which is open until this is closed */
    int open(int folder, byte[] path, int flags, int mode, int resolve) throws Failure {
        try (Arena scope = Arena.ofConfined()) {
            MemorySegment how = scope.allocate(HOW_BYTES, Long.BYTES);
            how.set(ValueLayout.JAVA_LONG, 0, flags | O_CLOEXEC);
            how.set(ValueLayout.JAVA_LONG, 8, mode);
            how.set(ValueLayout.JAVA_LONG, 16, resolve);
            MemorySegment name = text(scope, path);
            for (int i = 1; ; i++) {
                try {
                    int descriptor = (int) call(SYSCALL, OPENAT2, folder, name.address(), how.address(), HOW_BYTES);
                    opened.push(descriptor);
                    return descriptor;
                } catch (Failure e) {
                    if (e.number() != EAGAIN || i == TRIES) {
                        throw e;
                    }
                }
            }
        }
    }

    /** Of the thing itself, also where it is a link; with an empty name of the open one. */
    Stat stat(int descriptor, byte[] name) throws Failure {
        try (Arena scope = Arena.ofConfined()) {
            MemorySegment buffer = scope.allocate(STATX_BYTES, Long.BYTES);
            int flags = AT_SYMLINK_NOFOLLOW | (name.length == 0 ? AT_EMPTY_PATH : 0);
            call(STATX, descriptor, text(scope, name).address(), flags, STATX_BASIC, buffer.address());
            return new Stat(
                    buffer.get(ValueLayout.JAVA_SHORT, 28) & 0xffff,
                    buffer.get(ValueLayout.JAVA_INT, 16),
                    buffer.get(ValueLayout.JAVA_INT, 20),
                    buffer.get(ValueLayout.JAVA_INT, 24),
                    buffer.get(ValueLayout.JAVA_LONG, 32),
                    (long) buffer.get(ValueLayout.JAVA_INT, 136) << 32
                            | (buffer.get(ValueLayout.JAVA_INT, 140) & 0xffffffffL),
                    buffer.get(ValueLayout.JAVA_LONG, 40));
        }
    }

    Stat stat(int descriptor) throws Failure {
        return stat(descriptor, new byte[0]);
    }

    void owner(int descriptor, int uid, int gid) throws Failure {
        call(FCHOWN, descriptor, uid, gid, 0, 0);
    }

    void mode(int descriptor, int mode) throws Failure {
        call(FCHMOD, descriptor, mode, 0, 0, 0);
    }

    void sync(int descriptor) throws Failure {
        call(FSYNC, descriptor, 0, 0, 0, 0);
    }

    void rename(int folder, byte[] from, byte[] to) throws Failure {
        try (Arena scope = Arena.ofConfined()) {
            call(
                    RENAMEAT,
                    folder,
                    text(scope, from).address(),
                    folder,
                    text(scope, to).address(),
                    0);
        }
    }

    void unlink(int folder, byte[] name) throws Failure {
        try (Arena scope = Arena.ofConfined()) {
            call(UNLINKAT, folder, text(scope, name).address(), 0, 0, 0);
        }
    }

    void makeFolder(int folder, byte[] name, int mode) throws Failure {
        try (Arena scope = Arena.ofConfined()) {
            call(MKDIRAT, folder, text(scope, name).address(), mode, 0, 0);
        }
    }

    /** Memory outside the heap for {@link #write} and {@link #read}. */
    MemorySegment buffer(int bytes) {
        return arena.allocate(bytes);
    }

    void write(int descriptor, MemorySegment buffer, int count) throws Failure {
        for (int done = 0; done < count; ) {
            done += (int) call(WRITE, descriptor, buffer.address() + done, count - done, 0, 0);
        }
    }

    /** @return how many bytes, 0 at the end */
    int read(int descriptor, MemorySegment buffer) throws Failure {
        return (int) call(READ, descriptor, buffer.address(), buffer.byteSize(), 0, 0);
    }

    @Override
    public void close() throws Failure {
        try (arena) {
            while (!opened.isEmpty()) {
                call(CLOSE, opened.pop(), 0, 0, 0, 0);
            }
        }
    }
}
