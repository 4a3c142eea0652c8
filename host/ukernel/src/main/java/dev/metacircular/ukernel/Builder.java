package dev.metacircular.ukernel;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Makes a project's program: in {@code build/}, once as it goes into the image and once with its debug information. */
final class Builder {
    private static final Duration TIME = Duration.ofMinutes(10);
    private static final String STAMP = ".program";

    private final Installation installation;

    Builder(Installation installation) {
        this.installation = installation;
    }

    /**
     * Compiles what changed.
     *
     * @throws dev.metacircular.model.ProblemException FAILED with the compiler's words if the sources do not compile
     */
    Step build(Project project, boolean release) {
        Path entry = project.folder().resolve(project.entry());
        if (!Files.isRegularFile(entry)) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "the entry " + project.entry() + " is missing")
                    .at(project.folder().resolve(Project.FILE).toString())
                    .next("write it, or set entry under [project]")
                    .exception();
        }
        List<String> command = command(project, release);
        Path sources = sourceFolder(project);
        String fingerprint = new Fingerprint()
                .add(String.join("\n", command))
                .addFolder(project.folder().resolve(sources))
                .addFolder(installation.sdk())
                .addFile(installation.zig())
                .text();
        Fingerprint.Stamp stamp = new Fingerprint.Stamp(project.buildFolder().resolve(STAMP));
        String mode = release ? "release" : "debug";
        try {
            if (stamp.holds(fingerprint)
                    && Files.isRegularFile(project.program())
                    && Files.isRegularFile(project.programWithSymbols())) {
                return new Step("build", false, "build: nothing to do, %s is up to date".formatted(shown(project)));
            }
            Files.createDirectories(project.buildFolder());
            stamp.clear();
            long started = System.nanoTime();
            compile(project, command);
            byte[] loaded = ElfFile.read(project.programWithSymbols())
                    .orElseThrow(() -> Problem.of(Problem.Kind.INTERNAL, "the compiler wrote no 64-bit ELF file")
                            .at(project.programWithSymbols().toString())
                            .exception())
                    .loadedPart();
            Files.write(project.program(), loaded);
            Files.setPosixFilePermissions(project.program(), PosixFilePermissions.fromString("rwxr-xr-x"));
            stamp.write(fingerprint);
            return new Step(
                    "build",
                    true,
                    "build: compiled %s (%s, %s) in %.1f s"
                            .formatted(
                                    shown(project),
                                    mode,
                                    Report.size(loaded.length),
                                    (System.nanoTime() - started) / 1e9));
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.FAILED, "cannot write the build's output (" + e + ")")
                    .at(project.buildFolder().toString())
                    .exception();
        }
    }

    private static String shown(Project project) {
        return project.folder().relativize(project.program()).toString();
    }

    private void compile(Project project, List<String> command) {
        Path cache = project.buildFolder().resolve("zig-cache");
        Map<String, String> environment = Map.of("ZIG_LOCAL_CACHE_DIR", cache.toString(), "NO_COLOR", "1");
        Subprocess.Result result = Subprocess.run(command, project.folder(), environment, TIME);
        if (result.status() != 0) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            "the sources do not compile\n" + result.output().strip())
                    .at(project.folder().toString())
                    .next("mend the lines above")
                    .exception();
        }
    }

    /** Sources are what stands in the entry's folder and below. */
    private static Path sourceFolder(Project project) {
        Path parent = project.entry().getParent();
        return parent == null ? Path.of("") : parent;
    }

    private List<String> command(Project project, boolean release) {
        Path sdk = installation.sdk();
        List<String> command = new ArrayList<>(List.of(
                installation.zig().toString(),
                "build-exe",
                "-target",
                "x86_64-freestanding-none",
                "-mcpu",
                "x86_64",
                "-O",
                release ? "ReleaseSafe" : "Debug",
                "-fllvm",
                "-flld",
                "-fno-PIE",
                "-fno-strip",
                "-fno-omit-frame-pointer",
                "-fno-sanitize-c",
                "-fno-stack-check",
                "-fno-stack-protector",
                "-fno-unwind-tables",
                "-fno-error-tracing",
                "--gc-sections",
                "--build-id=none",
                "-z",
                "max-page-size=4096",
                "-z",
                "norelro",
                "--name",
                project.name().value(),
                "-femit-bin=" + project.folder().relativize(project.programWithSymbols())));
        switch (project.language()) {
            case C -> command.addAll(programOfC(project, sdk, release));
            case ZIG ->
                command.addAll(List.of(
                        "--dep",
                        "ukernel",
                        "--dep",
                        "workload",
                        "-Mroot=" + sdk.resolve("zig/root.zig"),
                        "--dep",
                        "ukernel",
                        "-Mworkload=" + project.entry(),
                        "-Mukernel=" + sdk.resolve("zig/ukernel.zig")));
            case PYTHON, GO, TYPESCRIPT, JAVA, RUST, OCI ->
                throw new IllegalStateException("a project is read only with a language that is built");
        }
        command.add(sdk.resolve("lib/libukernel.a").toString());
        return command;
    }

    private static List<String> programOfC(Project project, Path sdk, boolean release) {
        List<String> arguments = new ArrayList<>(List.of(
                "-I", sdk.resolve("include").toString(), "-cflags", "-std=c17", "-Wall", "-Wextra", "-ffreestanding"));
        if (release) {
            arguments.add("-O2");
        }
        arguments.add("--");
        Path folder = project.folder().resolve(sourceFolder(project));
        try (Stream<Path> files = Files.walk(folder)) {
            files.filter(file -> file.toString().endsWith(".c"))
                    .filter(file -> !file.startsWith(project.buildFolder()))
                    .sorted()
                    .map(file -> project.folder().relativize(file).toString())
                    .forEach(arguments::add);
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.FAILED, "cannot list the sources (" + e + ")")
                    .at(folder.toString())
                    .exception();
        }
        return arguments;
    }
}
