package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Moves single files in and out of services' folders, each by a {@link FileHelper} of its own. Memory is bounded by a chunk for
 * each transfer, and the number of transfers at a time too.
 *
 * <p>A record of each unfinished file lies in the agent's directory, so that one that a sudden end left behind is taken away at the next start.
 */
final class FileTransfers {
    private static final Logger LOG = Logger.getLogger(FileTransfers.class.getName());
    private static final int MAX_AT_A_TIME = 4;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Path services;
    private final Path records;
    private final long maxBytes;
    private final FileProcess.Starter starter;
    private final Semaphore free = new Semaphore(MAX_AT_A_TIME);

    /** What is written. */
    interface Source {
        /**
         * At most 64 KiB; empty at the end.
         *
         * @throws RuntimeException if there will be no more, and what was written is to go
         */
        Optional<byte[]> next();
    }

    /** Takes what is read. */
    interface Sink {
        void facts(long sizeBytes, int mode);

        void data(byte[] chunk);
    }

    record Written(String path, long sizeBytes, int mode) {}

    FileTransfers(Path services, Path agentDirectory, long maxBytes, FileProcess.Starter starter) {
        this.starter = starter;
        this.services = services;
        this.records = agentDirectory.resolve("transfers");
        this.maxBytes = maxBytes;
    }

    /**
     * Writes a file, which takes its place at once and whole or not at all. One that is there keeps its mode and owner; a new one has the
     * given mode and its folder's owner.
     *
     * @param announced the size that is to come, 0 if it is not known
     */
    Written push(Name service, String path, long announced, int mode, boolean parents, Source source) {
        String place = service + ":" + path;
        try {
            String checked = FilePaths.checked(path);
            if (announced > maxBytes) {
                throw Problem.of(
                                Problem.Kind.EXHAUSTED,
                                "the file has " + announced + " bytes, and this node moves at most " + maxBytes)
                        .next("raise [files] max_mb in the node's agent.toml")
                        .exception();
            }
            return limited(() -> push(service, checked, mode, parents, source));
        } catch (ProblemException e) {
            throw e.problem().where().isEmpty() ? e.problem().at(place).exception() : e;
        }
    }

    void pull(Name service, String path, Sink sink) {
        String place = service + ":" + path;
        try {
            String checked = FilePaths.checked(path);
            limited(() -> {
                try (FileProcess helper = FileProcess.start(starter)) {
                    helper.ask(FileHelper.READ, services, service, checked);
                    helper.pull(maxBytes, sink);
                    return true;
                }
            });
        } catch (ProblemException e) {
            throw e.problem().where().isEmpty() ? e.problem().at(place).exception() : e;
        }
    }

    private interface Work<R> {
        R perform() throws IOException;
    }

    private <R> R limited(Work<R> work) {
        if (!free.tryAcquire()) {
            throw Problem.of(Problem.Kind.EXHAUSTED, MAX_AT_A_TIME + " transfers are under way on this node already")
                    .next("repeat it when one has ended")
                    .exception();
        }
        try {
            return work.perform();
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.FAILED, "the transfer failed: " + Main.describe(e))
                    .next("mcp doctor shows what the node lacks")
                    .exception();
        } finally {
            free.release();
        }
    }

    private Written push(Name service, String path, int mode, boolean parents, Source source) throws IOException {
        byte[] random = new byte[8];
        RANDOM.nextBytes(random);
        String unfinished = FileHelper.UNFINISHED + HexFormat.of().formatHex(random);
        Path record = record(unfinished, service, path);
        FileProcess helper = FileProcess.start(starter);
        try (helper) {
            helper.ask(FileHelper.WRITE, services, service, path);
            return helper.push(path, unfinished, mode, parents, maxBytes, source);
        } finally {
            if (helper.endedOrderly() || collect(service, path, unfinished)) {
                Files.deleteIfExists(record);
            }
        }
    }

    private Path record(String unfinished, Name service, String path) throws IOException {
        Files.createDirectories(records);
        Path record = records.resolve(unfinished);
        try (FileChannel channel = FileChannel.open(record, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            channel.write(StandardCharsets.UTF_8.encode(service + "\n" + path));
            channel.force(true);
        }
        return record;
    }

    private boolean collect(Name service, String path, String unfinished) {
        try (FileProcess helper = FileProcess.start(starter)) {
            helper.ask(FileHelper.COLLECT, services, service, path);
            helper.collect(unfinished);
            return true;
        } catch (IOException | ProblemException e) {
            LOG.log(
                    Level.WARNING,
                    "the unfinished file " + unfinished + " of " + service + " is left: " + e.getMessage());
            return false;
        }
    }

    /** The records of transfers that have not ended orderly; of none that is under way if asked before any may begin. */
    List<Path> leftovers() {
        List<Path> left = new ArrayList<>();
        if (Files.isDirectory(records)) {
            try (DirectoryStream<Path> all = Files.newDirectoryStream(records, FileHelper.UNFINISHED + "*")) {
                all.forEach(left::add);
            } catch (IOException | DirectoryIteratorException e) {
                LOG.log(Level.WARNING, "unfinished files cannot be collected: " + e.getMessage());
            }
        }
        return left;
    }

    /** Takes away what transfers left that ended with an agent before this one. */
    void collectLeftovers(List<Path> left) {
        for (Path record : left) {
            try {
                String[] lines = Files.readString(record).split("\n", 2);
                boolean readable = lines.length == 2 && Name.isValid(lines[0]);
                String unfinished = String.valueOf(record.getFileName());
                if (!readable || collect(Name.of(lines[0]), lines[1], unfinished)) {
                    Files.deleteIfExists(record);
                }
            } catch (NoSuchFileException e) {
                LOG.log(Level.FINE, "the record " + record + " is gone already");
            } catch (IOException e) {
                LOG.log(Level.WARNING, record + " cannot be collected: " + Main.describe(e));
            }
        }
    }
}
