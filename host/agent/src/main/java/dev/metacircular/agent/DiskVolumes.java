package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import dev.metacircular.model.Volume;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.Map;

/** What the volumes of unikernels must be: raw disks, each an existing file of the service's, of whole sectors, and of one component. */
final class DiskVolumes {
    static final int SECTOR_BYTES = 512;

    private DiskVolumes() {}

    static void requireServices(ComponentId id, Volume volume) {
        if (!volume.isServices()) {
            throw refused(
                    id,
                    volume,
                    "names a path of the host, and a unikernel's is a file of the service's own folder",
                    "put the file there, and name it without a slash before it");
        }
    }

    /** @param file where the volume leads */
    static void requireDisk(ComponentId id, Volume volume, Path file) {
        if (Files.isDirectory(file)) {
            throw refused(
                    id,
                    volume,
                    "is a folder, and a unikernel has no file system for one yet: its volumes are raw disks",
                    making(id, volume, file.resolveSibling(file.getFileName() + ".img"), volume.source() + ".img"));
        }
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            throw refused(
                    id,
                    volume,
                    "is not there, and a unikernel's disk is not made by itself: there is no " + file,
                    making(id, volume, file, volume.source()));
        }
        if (!Files.isRegularFile(file)) {
            throw refused(id, volume, "is no regular file: " + file, making(id, volume, file, volume.source()));
        }
        if (!Files.isReadable(file) || !(volume.readOnly() || Files.isWritable(file))) {
            throw refused(
                    id,
                    volume,
                    "cannot be " + (Files.isReadable(file) ? "written" : "read") + " by the agent's user: " + file,
                    "on the node: sudo chown " + user() + " " + file);
        }
        long bytes = size(id, volume, file);
        if (bytes == 0 || bytes % SECTOR_BYTES != 0) {
            throw refused(
                    id,
                    volume,
                    "is " + bytes + " bytes long, and a disk is of whole sectors of " + SECTOR_BYTES + " bytes: "
                            + file,
                    bytes == 0
                            ? "on the node: truncate -s 64M " + file
                            : "on the node: truncate -s %" + SECTOR_BYTES + " " + file);
        }
    }

    private static long size(ComponentId id, Volume volume, Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw refused(id, volume, "cannot be looked at: " + Main.describe(e), "look at it on the node");
        }
    }

    private static String making(ComponentId id, Volume volume, Path file, String source) {
        return (source.equals(volume.source())
                        ? ""
                        : "name a file, volumes = [\"" + source + ":" + volume.target() + "\"]; ")
                + "make it on the node: sudo -u " + user() + folder(file) + " truncate -s 64M " + file
                + ", or send one: mcp push FILE "
                + id.service() + ":" + source;
    }

    private static String folder(Path file) {
        Path parent = file.getParent();
        return parent == null || Files.isDirectory(parent) ? "" : " mkdir -p " + parent + " && sudo -u " + user();
    }

    private static String user() {
        return System.getProperty("user.name", "mcp");
    }

    /** A disk that one VM writes to while another has it is soon nobody's, by whatever name each has it. */
    static void requireUnshared(Service service, Target target, VolumeDirectories directories) {
        Map<Object, Component> writers = new HashMap<>();
        Map<Object, Component> readers = new HashMap<>();
        for (Service.Entry entry : service.components()) {
            Component component = entry.component();
            if (component.runtime() != RuntimeKind.UNIKERNEL) {
                continue;
            }
            for (Volume volume : component.volumes()) {
                Object disk = identity(directories.place(service.id(component), volume));
                Component other = writers.get(disk);
                if (other == null && !volume.readOnly()) {
                    other = readers.get(disk);
                }
                if (other != null && (target.includes(component.name()) || target.includes(other.name()))) {
                    throw refused(
                            service.id(component),
                            volume,
                            "is the disk of " + service.id(other) + " too, and one of them writes to it",
                            "give each its own file, or both read it only (:ro)");
                }
                (volume.readOnly() ? readers : writers).put(disk, component);
            }
        }
    }

    /** What two names of one file have in common. */
    private static Object identity(Path file) {
        try {
            Object key = Files.readAttributes(file, BasicFileAttributes.class).fileKey();
            return key != null ? key : file;
        } catch (IOException notThere) {
            return file;
        }
    }

    private static ProblemException refused(ComponentId id, Volume volume, String why, String next) {
        return Problem.of(Problem.Kind.CONFLICT, "volume " + volume + " " + why)
                .at(id.toString())
                .next(next)
                .exception();
    }
}
