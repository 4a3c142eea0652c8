package dev.metacircular.registry;

import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.Jdbi;
import org.sqlite.SQLiteConfig;

/**
 * One SQLite file with one writer and a few readers. SQLite's calls are native and pin the thread that makes them, so they run on
 * platform threads of this class's own, and callers on virtual threads only wait. WAL with {@code synchronous=FULL}: what a write
 * returned from survives a power cut (SQLite documentation, "Write-Ahead Logging", section 2.3).
 */
final class Database implements AutoCloseable {
    private static final Pattern TWICE = Pattern.compile("\\[(?<code>\\w+)\\] .* \\((?<words>.+)\\)");
    private static final int READERS = 2;
    private static final Duration BUSY_TIMEOUT = Duration.ofSeconds(5);

    private final Path file;
    private volatile Consumer<RegistryException> onDamage = _ -> {};
    private final ExecutorService writer = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().daemon().name("registry-writer").factory());
    private final ExecutorService readers = Executors.newFixedThreadPool(
            READERS, Thread.ofPlatform().daemon().name("registry-reader-", 0).factory());
    private final List<Handle> open = new ArrayList<>();
    private final Handle writeHandle;
    private final BlockingQueue<Handle> readHandles = new ArrayBlockingQueue<>(READERS);

    private Database(Path file) throws SQLException {
        this.file = file;
        try {
            writeHandle = openHandle(false);
            for (int i = 0; i < READERS; i++) {
                readHandles.add(openHandle(true));
            }
        } catch (SQLException | RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * Opens the file, makes it if there is none, and migrates it; a snapshot is taken before a migration of an existing file.
     *
     * @throws RegistryException if it cannot be opened, is damaged, or is newer than this program
     */
    static Database open(Path file, Consumer<Database> beforeMigration) {
        try {
            boolean isNew = !Files.exists(file);
            if (isNew) {
                Files.createFile(
                        file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            }
            if (!isNew) {
                requireHeader(file);
            }
            Database database = new Database(file);
            try {
                database.check();
                database.migrate(isNew, beforeMigration);
                return database;
            } catch (RuntimeException e) {
                database.close();
                throw e;
            }
        } catch (SQLException e) {
            throw failed(file, "cannot open the registry " + file + ": " + e.getMessage(), e);
        } catch (IOException e) {
            throw new RegistryException("cannot open the registry " + file + ": " + e.getMessage(), e);
        }
    }

    /** SQLite takes a file that is too short for a page for an empty database (SQLite documentation, "Database File Format", 1.3). */
    private static void requireHeader(Path file) throws IOException {
        byte[] magic = "SQLite format 3\0".getBytes(StandardCharsets.US_ASCII);
        try (InputStream in = Files.newInputStream(file)) {
            byte[] head = in.readNBytes(magic.length);
            if (head.length > 0 && !Arrays.equals(head, magic)) {
                throw new DamagedException(
                        "the registry " + file + " is damaged: it does not begin as SQLite's files do");
            }
        }
    }

    /** Tells damage of the file (SQLite documentation, "Result and Error Codes") from every other failure. */
    private static RegistryException failed(Path file, String message, Exception failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLException sql && isDamage(sql)) {
                return new DamagedException("the registry " + file + " is damaged: " + told(sql), failure);
            }
        }
        return new RegistryException(message, failure);
    }

    /** The driver tells what a code means and, in brackets, what SQLite says, which is much the same or more. */
    private static String told(SQLException failure) {
        String message = String.valueOf(failure.getMessage());
        Matcher twice = TWICE.matcher(message);
        return twice.matches() ? twice.group("words") + " (" + twice.group("code") + ")" : message;
    }

    /** A table that every version has is missing where zeros took the place of the first page. */
    private static boolean isDamage(SQLException failure) {
        int error = 1;
        int corrupt = 11;
        int notADatabase = 26;
        int shortRead = 522;
        int code = failure.getErrorCode();
        return (code & 0xff) == corrupt
                || (code & 0xff) == notADatabase
                || code == shortRead
                || (code == error && String.valueOf(failure.getMessage()).contains("no such table"));
    }

    private Handle openHandle(boolean readOnly) throws SQLException {
        SQLiteConfig config = new SQLiteConfig();
        config.setJournalMode(SQLiteConfig.JournalMode.WAL);
        config.setSynchronous(SQLiteConfig.SynchronousMode.FULL);
        config.enforceForeignKeys(true);
        config.setBusyTimeout((int) BUSY_TIMEOUT.toMillis());
        Properties properties = config.toProperties();
        Connection connection = DriverManager.getConnection(url(), properties);
        Handle handle = Jdbi.open(connection);
        open.add(handle);
        if (readOnly) {
            handle.execute("PRAGMA query_only = ON");
        }
        return handle;
    }

    private String url() {
        return "jdbc:sqlite:" + file.toAbsolutePath();
    }

    /** Calls that at each piece of work that finds the file damaged. */
    void onDamage(Consumer<RegistryException> listener) {
        onDamage = listener;
    }

    private void check() {
        List<String> faults = read(
                h -> h.createQuery("PRAGMA quick_check(5)").mapTo(String.class).list());
        if (!faults.equals(List.of("ok"))) {
            throw new DamagedException("the registry " + file + " is damaged (" + String.join("; ", faults) + ")");
        }
    }

    private void migrate(boolean isNew, Consumer<Database> beforeMigration) {
        Flyway flyway = Flyway.configure(Database.class.getClassLoader())
                .dataSource(url(), "", "")
                .locations("classpath:dev/metacircular/registry/migrations")
                .loggers("slf4j")
                .load();
        try {
            if (!isNew && flyway.info().pending().length > 0) {
                beforeMigration.accept(this);
            }
            flyway.migrate();
        } catch (FlywayException e) {
            throw new RegistryException(
                    "the registry " + file + " cannot be brought to this version's form: " + firstLine(e)
                            + "; nothing was lost: run the agent's newer version, or restore a snapshot",
                    e);
        }
    }

    private static String firstLine(Exception e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given");
    }

    /** Runs the work in one transaction of the only writer. */
    <T> T write(Function<Handle, T> work) {
        return await(writer, () -> transaction(writeHandle, "BEGIN IMMEDIATE", work));
    }

    void run(Consumer<Handle> work) {
        write(h -> {
            work.accept(h);
            return true;
        });
    }

    /** Runs the work outside any transaction, on the writer. */
    void direct(Consumer<Handle> work) {
        await(writer, () -> {
            work.accept(writeHandle);
            return true;
        });
    }

    /** Runs the work on a consistent view. */
    <T> T read(Function<Handle, T> work) {
        return await(readers, () -> {
            Handle handle = readHandles.take();
            try {
                return transaction(handle, "BEGIN", work);
            } finally {
                readHandles.add(handle);
            }
        });
    }

    /** The driver's own transaction mode cannot be set apart for readers and writers, so begin and end are said here. */
    private static <T> T transaction(Handle handle, String begin, Function<Handle, T> work) {
        handle.execute(begin);
        try {
            T result = work.apply(handle);
            handle.execute("COMMIT");
            return result;
        } catch (RuntimeException | Error e) {
            try {
                handle.execute("ROLLBACK");
            } catch (RuntimeException alreadyEnded) {
                e.addSuppressed(alreadyEnded);
            }
            throw e;
        }
    }

    private <T> T await(ExecutorService executor, Callable<T> work) {
        try {
            return executor.submit(work).get();
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case RegistryException known -> throw known;
                case ProblemException refusal -> throw refusal;
                case Exception cause -> {
                    RegistryException failure =
                            failed(file, "the registry " + file + " failed: " + firstLine(cause), cause);
                    if (failure instanceof DamagedException damage) {
                        onDamage.accept(damage);
                    }
                    throw failure;
                }
                case Error error -> throw error;
                case null, default -> throw new IllegalStateException(e);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RegistryException("interrupted while waiting for the registry " + file, e);
        }
    }

    @Override
    public void close() {
        writer.shutdown();
        readers.shutdown();
        try {
            writer.awaitTermination(BUSY_TIMEOUT.toSeconds(), TimeUnit.SECONDS);
            readers.awaitTermination(BUSY_TIMEOUT.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        open.forEach(Handle::close);
    }
}
