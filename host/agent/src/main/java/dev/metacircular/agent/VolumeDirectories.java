package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Volume;
import dev.metacircular.runtime.InstanceSpec.Mount;
import dev.metacircular.runtime.UserIds;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The host's side of volumes: below the service's own directory, made where missing and given to the component's user, or an
 * absolute path that the node's configuration allows. Symbolic links that lead out of either are refused; what is mounted is the
 * path with every link resolved.
 *
 * <p>A directory that is still empty and the agent's own is given to the user as which the component runs, inside the user namespace of
 * rootless podman ({@link UserNamespace}); every other is left as it is.
 *
 * <p>Volumes of unikernels are files that exist ({@link DiskVolumes}), of which nothing is made, given or changed.
 */
final class VolumeDirectories {
    private static final Pattern NUMERIC_USER = Pattern.compile("(?<uid>[0-9]{1,10})(?::(?<gid>[0-9]{1,10}))?");
    private static final String CHOWN = "cd -P -- \"$1\" && test \"$(pwd -P)\" = \"$1\" && exec chown -- \"$2\" .";
    private static final Duration CHOWN_DEADLINE = Duration.ofSeconds(20);
    private static final Duration REMOVE_DEADLINE = Duration.ofMinutes(10);

    private final Path services;
    private final List<Path> allowed;

    VolumeDirectories(Path services, List<Path> allowed) {
        this.services = services;
        this.allowed = List.copyOf(allowed);
    }

    Path ofService(Name service) {
        return services.resolve(service.value());
    }

    /**
     * Refuses volumes that cannot be mounted, without making anything.
     *
     * @throws ProblemException {@code CONFLICT} or {@code NOT_FOUND}, naming the volume
     */
    void check(ComponentId id, Component component) {
        for (Volume volume : component.volumes()) {
            if (component.runtime() == RuntimeKind.UNIKERNEL) {
                disk(id, volume);
            } else if (!volume.isServices()) {
                hostPath(id, volume);
            } else {
                requireInside(
                        id, volume, deepestExisting(ofService(id.service()).resolve(volume.source())));
            }
        }
    }

    /** The folder that a volume means now, with every link resolved as far as it exists. */
    Path place(ComponentId id, Volume volume) {
        Path wanted = volume.isServices()
                ? ofService(id.service()).resolve(volume.source())
                : Path.of(volume.source()).normalize();
        Path existing = wanted;
        while (existing.getParent() != null && !Files.exists(existing, LinkOption.NOFOLLOW_LINKS)) {
            existing = existing.getParent();
        }
        try {
            return existing.toRealPath().resolve(existing.relativize(wanted)).normalize();
        } catch (IOException e) {
            return wanted;
        }
    }

    /** Makes what is missing and returns the mounts. */
    List<Mount> prepare(ComponentId id, Component component) {
        List<Mount> mounts = new ArrayList<>();
        for (Volume volume : component.volumes()) {
            Path source = component.runtime() == RuntimeKind.UNIKERNEL
                    ? disk(id, volume)
                    : volume.isServices() ? servicePath(id, volume) : hostPath(id, volume);
            mounts.add(new Mount(source, volume.target(), volume.readOnly()));
        }
        return mounts;
    }

    /** A unikernel's disk: nothing is made for it. */
    private Path disk(ComponentId id, Volume volume) {
        DiskVolumes.requireServices(id, volume);
        Path wanted = ofService(id.service()).resolve(volume.source());
        requireInside(id, volume, deepestExisting(wanted));
        DiskVolumes.requireDisk(id, volume, wanted);
        return requireInside(id, volume, wanted);
    }

    private Path servicePath(ComponentId id, Volume volume) {
        Path wanted = ofService(id.service()).resolve(volume.source());
        try {
            Path existing = deepestExisting(wanted);
            requireInside(id, volume, existing);
            if (!Files.exists(wanted)) {
                Files.createDirectories(ofService(id.service()));
                Files.createDirectories(wanted);
                requireInside(id, volume, wanted);
            }
            return requireInside(id, volume, wanted);
        } catch (IOException e) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            "the directory for volume " + volume + " cannot be made: " + Main.describe(e))
                    .at(id.toString())
                    .next("let the agent's user write to " + services)
                    .exception();
        }
    }

    private Path deepestExisting(Path wanted) {
        Path path = wanted;
        while (!Files.exists(path, LinkOption.NOFOLLOW_LINKS) && !path.equals(services)) {
            path = path.getParent() == null ? services : path.getParent();
        }
        return path;
    }

    /** The path with every link resolved, which lies below the service's directory. */
    private Path requireInside(ComponentId id, Volume volume, Path path) {
        Path service = ofService(id.service());
        if (!path.startsWith(service)) {
            return path;
        }
        try {
            Path root = service.toRealPath();
            Path real = path.toRealPath();
            if (!real.startsWith(root) || Files.isSymbolicLink(service)) {
                throw Problem.of(
                                Problem.Kind.CONFLICT,
                                "volume " + volume + " leads out of " + service + " by a symbolic link, to " + real)
                        .at(id.toString())
                        .next("remove the link, or name the path itself and allow it in agent.toml ([paths] allow)")
                        .exception();
            }
            return real;
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.CONFLICT, "volume " + volume + " cannot be resolved: " + Main.describe(e))
                    .at(id.toString())
                    .exception();
        }
    }

    private Path hostPath(ComponentId id, Volume volume) {
        Path path = Path.of(volume.source()).normalize();
        try {
            Path real = path.toRealPath();
            for (Path a : allowed) {
                if (real.startsWith(Files.exists(a) ? a.toRealPath() : a)) {
                    return real;
                }
            }
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "volume " + volume + " names a path of the host that this node does not allow"
                                    + (real.equals(path) ? "" : " (it is " + real + ")"))
                    .at(id.toString())
                    .next("put it below the service's directory, or add it to [paths] allow in the node's agent.toml")
                    .exception();
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "volume " + volume + ": " + Main.describe(e))
                    .at(id.toString())
                    .exception();
        }
    }

    /**
     * Gives the folders of its volumes to the user as which an instance of the component runs: those below the service's directory that
     * are empty and the agent's own, which is how they are made. Everything else is somebody's already and is left as it is.
     *
     * @param user asked for only where there is such a folder; where it does not know, a user that the definition gives as a number counts
     */
    void give(ComponentId id, Component component, Supplier<Optional<UserIds>> user) {
        if (component.runtime() == RuntimeKind.UNIKERNEL) {
            return;
        }
        List<Path> fresh = component.volumes().stream()
                .filter(v -> v.isServices() && !v.readOnly())
                .map(v -> requireInside(id, v, ofService(id.service()).resolve(v.source())))
                .filter(VolumeDirectories::isFresh)
                .toList();
        if (fresh.isEmpty()) {
            return;
        }
        Optional<UserIds> owner = user.get()
                .or(() -> component.user().flatMap(VolumeDirectories::numeric))
                .filter(o -> !o.isRoot());
        owner.ifPresent(o -> fresh.forEach(path -> give(id, o, path)));
    }

    private static boolean isFresh(Path path) {
        try (DirectoryStream<Path> content = Files.newDirectoryStream(path)) {
            return !content.iterator().hasNext()
                    && ((Number) Files.getAttribute(path, "unix:uid")).longValue() == SystemUser.effectiveUid();
        } catch (IOException _) {
            // Not to be read: it is another's.
            return false;
        }
    }

    private static Optional<UserIds> numeric(String user) {
        Matcher m = NUMERIC_USER.matcher(user);
        return m.matches()
                ? Optional.of(new UserIds(
                        Long.parseLong(m.group("uid")), m.group("gid") == null ? 0 : Long.parseLong(m.group("gid"))))
                : Optional.empty();
    }

    /** By its own inode, so that a folder on the way that was replaced meanwhile leads nowhere else. */
    private static void give(ComponentId id, UserIds owner, Path path) {
        try {
            Programs.Result result = Programs.run(
                    CHOWN_DEADLINE,
                    UserNamespace.enter(List.of("/bin/sh", "-c", CHOWN, "sh", path.toString(), owner.toString())));
            if (result.ok()) {
                return;
            }
            throw ungiven(id, owner, path, result.output().replace('\n', ' '));
        } catch (IOException e) {
            throw ungiven(id, owner, path, Main.describe(e));
        }
    }

    private static ProblemException ungiven(ComponentId id, UserIds owner, Path path, String why) {
        return Problem.of(Problem.Kind.FAILED, path + " cannot be given to user " + owner + " of the container: " + why)
                .at(id.toString())
                .next("mcp doctor shows whether the node's subordinate IDs suffice")
                .exception();
    }

    /** Removes a service's directory with everything in it, whichever of its containers' users owns it. */
    void remove(Name service) throws IOException {
        Path directory = ofService(service);
        if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        Programs.Result result = Programs.run(
                REMOVE_DEADLINE,
                UserNamespace.enter(List.of("rm", "-rf", "--one-file-system", "--", directory.toString())));
        if (!result.ok()) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            directory + " cannot be removed: "
                                    + result.output().lines().findFirst().orElse("status " + result.status()))
                    .at(service.value())
                    .exception();
        }
    }
}
