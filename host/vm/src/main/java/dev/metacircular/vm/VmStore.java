package dev.metacircular.vm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The VMs of one folder, whoever started them: each has a state directory there. Reads the disk at each call.
 *
 * @param vms the folder, the one that the drivers were given
 */
public record VmStore(Path vms) {
    /** What a state directory turned out to be. */
    public sealed interface Entry {
        /** A VM, running or ended. */
        record Found(VirtualMachine vm) implements Entry {}

        /**
         * A directory that cannot be understood.
         *
         * @param directory where
         * @param why one line for a person, with what to do
         */
        record Broken(Path directory, String why) implements Entry {}
    }

    /**
     * All VMs, by name.
     *
     * @throws VmException HOST when the folder cannot be read or holds more than 4,096 entries
     */
    public List<Entry> list() {
        List<Path> directories;
        try (Stream<Path> files = Files.list(vms)) {
            directories = files.filter(Files::isDirectory)
                    .filter(file -> VmId.isValid(file.getFileName().toString()))
                    .limit(Limits.VMS_LISTED_MAX + 1L)
                    .sorted(Comparator.comparing(Path::toString))
                    .toList();
        } catch (NoSuchFileException none) {
            return List.of();
        } catch (IOException e) {
            throw StateDirectory.cannot("list the VMs in", vms, e);
        }
        if (directories.size() > Limits.VMS_LISTED_MAX) {
            throw new VmException(
                    VmException.Fault.HOST,
                    vms + " holds more than " + Limits.VMS_LISTED_MAX + " VMs: remove those that ended");
        }
        return directories.stream()
                .flatMap(directory -> open(directory).stream())
                .toList();
    }

    /**
     * The VM of this name; empty when there is none.
     *
     * @throws VmException HOST when its state is damaged
     */
    public Optional<VirtualMachine> find(VmId id) {
        return open(vms.resolve(id.value())).map(entry -> switch (entry) {
            case Entry.Found(VirtualMachine vm) -> vm;
            case Entry.Broken(Path directory, String why) -> throw new VmException(VmException.Fault.HOST, why);
        });
    }

    private static Optional<Entry> open(Path path) {
        StateDirectory directory = new StateDirectory(path);
        try {
            Optional<String> json = directory.readRecord();
            if (json.isEmpty()) {
                return Files.isDirectory(path)
                        ? Optional.of(
                                new Entry.Broken(
                                        path,
                                        path
                                                + " holds no vm.json: a start was interrupted, or is going on. If it stays, delete it"))
                        : Optional.empty();
            }
            VmRecord record = VmRecord.parse(json.get(), directory.path());
            return Optional.of(new Entry.Found(
                    new SupervisedVm(directory, record, controlOf(record.info().driver()), Optional.empty())));
        } catch (VmException e) {
            return Optional.of(new Entry.Broken(path, String.valueOf(e.getMessage())));
        }
    }

    /** A VM of a driver that this version does not know can still be read and ended. */
    private static VmmControl controlOf(String driver) {
        return driver.equals(QemuDriver.NAME) ? QemuDriver.control() : FirecrackerDriver.control();
    }
}
