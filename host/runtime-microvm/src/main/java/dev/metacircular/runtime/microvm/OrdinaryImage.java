package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Attributes;
import dev.metacircular.image.Capability;
import dev.metacircular.image.Content;
import dev.metacircular.image.Digest;
import dev.metacircular.image.ImageSpec;
import dev.metacircular.image.Manifest;
import dev.metacircular.image.Node;
import dev.metacircular.oci.ImageConfig;
import dev.metacircular.oci.Sha256;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Makes of an image that containers are made from what is packed into a guest image: its one program, and its files. */
final class OrdinaryImage {
    private static final String DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    private static final Set<String> SHELLS = Set.of("sh", "ash", "bash", "dash", "ksh", "zsh", "fish");
    private static final Set<String> STARTERS =
            Set.of("tini", "tini-static", "dumb-init", "docker-init", "catatonit", "s6-svscan", "supervisord", "runit");

    private final String name;
    private final ImageConfig config;
    private final GuestSystem guest;

    /** @param name how messages call it */
    OrdinaryImage(String name, ImageConfig config, GuestSystem guest) {
        this.name = name;
        this.config = config;
        this.guest = guest;
    }

    /**
     * What is to be written, and the arguments that a component's own replace.
     *
     * @param defaults the image's {@code Cmd}, as far as it is not the program
     */
    record Packed(ImageSpec spec, List<String> defaults) {}

    /** What can be refused before a layer is looked at. */
    void check() {
        if (!config.os().equals("linux") || !config.architecture().equals("amd64")) {
            throw cannotRun("it is for %s/%s, not for linux/amd64".formatted(config.os(), config.architecture()));
        }
        String program = program();
        String last = program.substring(program.lastIndexOf('/') + 1);
        if (SHELLS.contains(last)) {
            throw cannotRun("it starts the shell '" + program
                    + "', and a microVM runs one program: name that program as ENTRYPOINT [\"/path/of/it\", …]");
        }
        if (STARTERS.contains(last)) {
            throw cannotRun("it starts '" + program
                    + "', which starts other programs, and a microVM runs one: name that one as ENTRYPOINT");
        }
    }

    private String program() {
        List<String> line = config.entrypoint().isEmpty() ? config.command() : config.entrypoint();
        return line.stream()
                .findFirst()
                .filter(word -> !word.isEmpty())
                .orElseThrow(() -> cannotRun("it names no program, neither as ENTRYPOINT nor as CMD"));
    }

    /**
     * Looks at the program.
     *
     * @param manifest the image's own manifest, which the packed one names
     * @param label what the packed image is called
     */
    Packed pack(RootTree tree, Sha256 manifest, String label) throws IOException {
        Map<String, String> environment = environment();
        RootTree.Found program = find(tree, environment.getOrDefault("PATH", DEFAULT_PATH));
        String adapter = switch (ElfProgram.of(program.content())) {
            case ElfProgram.Native(var abi) -> {
                if (abi.major() != guest.abi().major()
                        || abi.minor() > guest.abi().minor()) {
                    throw cannotRun("'%s' is built for version %s of the kernel's interface, this node has %s"
                            .formatted(program.path(), abi, guest.abi()));
                }
                yield "native";
            }
            case ElfProgram.StaticLinux _ -> "linux";
            case ElfProgram.DynamicLinux(String interpreter) -> {
                if (tree.find(interpreter).isEmpty()) {
                    throw cannotRun("'%s' needs the interpreter '%s', which the image does not have: link it statically"
                            .formatted(program.path(), interpreter.replaceAll("\\p{Cntrl}", "?")));
                }
                yield "linux";
            }
            case ElfProgram.Other(String what) -> throw cannotRun("'%s' is %s".formatted(program.path(), what));
        };
        boolean isNative = adapter.equals("native");
        if (!isNative) {
            environment.putIfAbsent("PATH", DEFAULT_PATH);
            beginIn(tree, environment);
        }
        List<String> arguments = new ArrayList<>(config.entrypoint());
        List<String> defaults = new ArrayList<>(config.command());
        if (arguments.isEmpty()) {
            arguments.add(defaults.removeFirst());
        }
        Map<String, Digest> digests = new LinkedHashMap<>();
        digests.put("oci-manifest", Digest.parse(manifest.text()));
        Manifest packed = new Manifest(
                label,
                guest.abi(),
                adapter,
                isNative ? program.path() : "/adapter/linux",
                program.path(),
                arguments,
                environment,
                capabilities(isNative),
                Map.of(),
                digests);
        Optional<Node.Directory> adapterFolder = isNative
                ? Optional.empty()
                : Optional.of(new Node.Directory(Attributes.of(0755))
                        .add("linux", new Node.RegularFile(Attributes.of(0755), Content.of(guest.linuxAdapter()))));
        ImageSpec spec = new ImageSpec(packed, Content.of(guest.kernel()), adapterFolder, tree.toNode());
        return new Packed(spec, defaults);
    }

    /** Linux programs may write code that they run, as those with a compiler inside do. */
    private static List<Capability> capabilities(boolean isNative) {
        List<Capability> capabilities = new ArrayList<>();
        for (Capability.Kind kind : Capability.Kind.values()) {
            capabilities.add(
                    kind == Capability.Kind.MEM && !isNative
                            ? new Capability(kind, Set.of(Capability.Right.EXEC_WRITE))
                            : Capability.of(kind));
        }
        return capabilities;
    }

    /** The adapter begins in the folder that PWD names; as with containers, it is made where it is missing. */
    private void beginIn(RootTree tree, Map<String, String> environment) {
        String folder = config.workingDirectory();
        if (!folder.isEmpty() && !folder.equals("/")) {
            environment.put("PWD", folder.startsWith("/") ? folder : "/" + folder);
            tree.ensureFolder(folder);
        }
    }

    private Map<String, String> environment() {
        Map<String, String> environment = new LinkedHashMap<>();
        for (String line : config.environment()) {
            int equals = line.indexOf('=');
            if (equals > 0) {
                environment.put(line.substring(0, equals), line.substring(equals + 1));
            }
        }
        return environment;
    }

    private RootTree.Found find(RootTree tree, String searchPath) {
        String program = program();
        String folder = config.workingDirectory().isEmpty() ? "/" : config.workingDirectory();
        List<String> candidates = new ArrayList<>();
        if (program.startsWith("/")) {
            candidates.add(program);
        } else if (program.contains("/")) {
            candidates.add(folder + "/" + program);
        } else {
            for (String one : searchPath.split(":")) {
                candidates.add((one.startsWith("/") ? one : folder + "/" + one) + "/" + program);
            }
        }
        return candidates.stream()
                .map(tree::find)
                .flatMap(Optional::stream)
                .filter(found -> (found.mode() & 0111) != 0)
                .findFirst()
                .orElseThrow(() -> cannotRun("its program '" + program.replaceAll("\\p{Cntrl}", "?")
                        + "' is not in it, or is not executable"));
    }

    private RuntimeFailure cannotRun(String why) {
        return new RuntimeFailure(Kind.INVALID, name + " cannot run as a microVM: " + why);
    }
}
