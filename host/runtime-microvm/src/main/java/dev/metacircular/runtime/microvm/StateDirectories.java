package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Digest;
import dev.metacircular.model.Identity;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.VmException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The state directories of the VMs. One is made before its carrier, under a name that no other ever had, and goes after it; so one that no
 * carrier names is what a crash left.
 *
 * <p>In a directory: {@code root}, the carrier's file system, read-only to it, with the image, the script and the run-time configuration
 * (0600, for it holds secrets); {@code vm}, which the VMM writes to. Everything belongs to the owner of the folder that holds them all.
 */
final class StateDirectories {
    private static final String SCRIPT = "box.sh";
    private static final int NAME_MAX = 14;
    private static final Pattern KEY = Pattern.compile("[a-z0-9-]{1,48}");
    private static final int CHANNEL_SLOTS = 1_024;
    private static final List<String> FOLDERS =
            List.of("usr", "etc", "dev", "proc", "sys", "tmp", "run", "vm", "vmm", "disks");
    private static final List<String> LINKS = List.of("bin", "sbin", "lib", "lib64");

    private final Path folder;
    private final SecureRandom random = new SecureRandom();

    StateDirectories(Path folder) {
        this.folder = folder.toAbsolutePath().normalize();
    }

    /** One VM's. */
    record State(Path path) {
        Path root() {
            return path.resolve("root");
        }

        Path vm() {
            return path.resolve("vm");
        }

        Path channel() {
            return vm().resolve("channel");
        }

        /** Where the exit status of a guest that has no channel stands. */
        Path exit() {
            return vm().resolve("exit");
        }
    }

    /** Puts into a directory what its kind of guest needs. */
    @FunctionalInterface
    interface Filling {
        void fill(State made) throws IOException;
    }

    /** A name for a new one: for people, and never given twice. At most 48 letters, digits and hyphens. */
    String newKey(Identity identity) {
        byte[] nonce = new byte[4];
        random.nextBytes(nonce);
        return shortly(identity.component().service().value()) + "-"
                + shortly(identity.component().component().value()) + "-"
                + Digest.of(identity.toString().getBytes(StandardCharsets.UTF_8))
                        .hex()
                        .substring(0, 8) + "-"
                + HexFormat.of().formatHex(nonce);
    }

    /** Whether this could be such a name; a label may hold anything. */
    static boolean isKey(String text) {
        return KEY.matcher(text).matches();
    }

    private static String shortly(String name) {
        return name.substring(0, Math.min(NAME_MAX, name.length()));
    }

    State at(String key) {
        return new State(folder.resolve(key));
    }

    /**
     * Makes the directory.
     *
     * @param image linked to, so that the store may give it up
     * @param disks how many files will be mounted at {@code /disks/0} and so on
     * @throws RuntimeFailure {@code EXHAUSTED}, {@code FAILED}
     */
    State make(String key, Path image, byte[] configuration, Optional<String> vmmConfiguration, int disks) {
        return make(key, made -> {
            Path root = made.root();
            for (int disk = 0; disk < disks; disk++) {
                Files.createFile(root.resolve("disks").resolve(Integer.toString(disk)));
            }
            Files.createLink(root.resolve("image"), image);
            Files.createFile(root.resolve("config"), permissions("rw-------"));
            Files.write(root.resolve("config"), configuration);
            if (vmmConfiguration.isPresent()) {
                Files.writeString(root.resolve("vmm.json"), vmmConfiguration.get());
            }
            ChannelReader.create(root.resolve("channel"), CHANNEL_SLOTS);
        });
    }

    /**
     * Makes the directory.
     *
     * @throws RuntimeFailure {@code EXHAUSTED}, {@code FAILED}, and what the filling throws
     */
    State make(String key, Filling filling) {
        try {
            Files.createDirectories(folder);
            // Without links, as the mounts of a container must be.
            State made = new State(folder.toRealPath().resolve(key));
            Files.createDirectory(made.path(), permissions("rwx------"));
            Files.createDirectories(made.vm());
            Path root = made.root();
            for (String name : FOLDERS) {
                Files.createDirectories(root.resolve(name));
            }
            for (String name : LINKS) {
                Files.createSymbolicLink(root.resolve(name), Path.of("usr", name));
            }
            for (String mountPoint : List.of("etc/ld.so.cache", "vmm/vmm")) {
                Files.createFile(root.resolve(mountPoint));
            }
            Files.write(root.resolve(SCRIPT), resource(SCRIPT));
            filling.fill(made);
            giveToOwner(made.path());
            return made;
        } catch (IOException e) {
            throw failure("make", key, e);
        } catch (VmException e) {
            throw e.getCause() instanceof IOException cause ? failure("make", key, cause) : e;
        }
    }

    private static FileAttribute<Set<PosixFilePermission>> permissions(String text) {
        return PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(text));
    }

    static byte[] resource(String name) throws IOException {
        try (InputStream stream = StateDirectories.class.getResourceAsStream(name)) {
            if (stream == null) {
                throw new NoSuchFileException(name);
            }
            return stream.readAllBytes();
        }
    }

    /** Where another user's podman is driven, its user owns the folder. */
    private void giveToOwner(Path path) throws IOException {
        UserPrincipal owner = Files.getOwner(folder);
        if (Files.getOwner(path).equals(owner)) {
            return;
        }
        try (Stream<Path> all = Files.walk(path)) {
            for (Path each : all.toList()) {
                // The image belongs to its store.
                if (!Files.isSymbolicLink(each) && !each.equals(path.resolve("root/image"))) {
                    Files.setOwner(each, owner);
                }
            }
        }
    }

    /** Removes it; idempotent. */
    void remove(String key) {
        Path path = folder.resolve(key);
        try {
            FileTree.delete(path);
        } catch (IOException e) {
            throw failure("remove", key, e);
        }
    }

    /** Of all that are there. */
    List<String> keys() {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(Files::isDirectory)
                    .map(p -> p.getFileName().toString())
                    .toList();
        } catch (NoSuchFileException _) {
            return List.of();
        } catch (IOException e) {
            throw failure("list", "", e);
        }
    }

    private RuntimeFailure failure(String verb, String key, IOException e) {
        return FileFailure.of(verb + " the VM's state directory " + folder.resolve(key), e);
    }
}
