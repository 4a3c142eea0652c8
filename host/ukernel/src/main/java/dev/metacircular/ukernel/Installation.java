package dev.metacircular.ukernel;

import dev.metacircular.image.AbiVersion;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The parts of Metacircular that a project is built with: kernels, the library of native workloads, the pinned Zig. They stand in
 * the checkout that {@code METACIRCULAR_HOME} names.
 *
 * @param home the checkout's root
 * @param environment the process's environment variables
 */
record Installation(Path home, Map<String, String> environment) {
    Installation {
        environment = Map.copyOf(environment);
    }

    /** @throws dev.metacircular.model.ProblemException NOT_FOUND if the variable is not set */
    static Installation of(Map<String, String> environment) {
        String home = environment.get("METACIRCULAR_HOME");
        if (home == null || home.isEmpty()) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "METACIRCULAR_HOME is not set")
                    .next("start bin/ukernel of a checkout, which sets it")
                    .exception();
        }
        return new Installation(Path.of(home).toAbsolutePath().normalize(), environment);
    }

    /** The kernel of a combination. */
    Path kernel(String combination) {
        return built("guest/zig-out/kernel/ukernel-" + combination + ".elf", "the kernel '" + combination + "'");
    }

    /** The kernel with its debug information, where it was built. */
    Optional<Path> kernelWithSymbols(String combination) {
        return Optional.of(home.resolve("guest/zig-out/kernel/ukernel-" + combination + ".debug"))
                .filter(Files::isRegularFile);
    }

    /** Names for the addresses of a project's program and kernel, where their symbols stand beside it. */
    FaultText symbols(Optional<Project> project) {
        return new FaultText(project.stream()
                .flatMap(p -> Stream.concat(
                        Symbols.of(p.programWithSymbols()).stream(),
                        kernelWithSymbols(p.kernel()).flatMap(Symbols::of).stream()))
                .toList());
    }

    /** The folder of what a native workload is compiled with. */
    Path sdk() {
        return built("guest/zig-out/sdk", "the library of native workloads");
    }

    /** The version of the ABI that native workloads are compiled for. */
    AbiVersion abi() {
        Path header = sdk().resolve("include/ukernel.h");
        try {
            String text = Files.readString(header);
            return new AbiVersion(number(text, "UK_ABI_MAJOR"), number(text, "UK_ABI_MINOR"));
        } catch (IOException | IllegalArgumentException e) {
            throw Problem.of(Problem.Kind.FAILED, "the ABI's version cannot be read (" + e + ")")
                    .at(header.toString())
                    .next(home.resolve("build").toString())
                    .exception();
        }
    }

    private static int number(String header, String macro) {
        Matcher matcher =
                Pattern.compile("#define " + macro + " ([0-9]{1,4})\\b").matcher(header);
        if (!matcher.find()) {
            throw new IllegalArgumentException("no " + macro);
        }
        return Integer.parseInt(matcher.group(1));
    }

    /** The pinned Zig. */
    Path zig() {
        String chosen = environment.get("ZIG");
        return chosen == null || chosen.isEmpty() ? built("build-output/zig", "the pinned Zig") : Path.of(chosen);
    }

    private Path built(String relative, String what) {
        Path path = home.resolve(relative);
        if (!Files.exists(path)) {
            throw Problem.of(Problem.Kind.NOT_FOUND, what + " is not built")
                    .at(path.toString())
                    .next(home.resolve("build").toString())
                    .exception();
        }
        return path;
    }
}
