package dev.metacircular.ukernel;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;

/**
 * What a command has of the process around it.
 *
 * @param environment the environment variables
 * @param folder the current folder
 */
record Cli(Map<String, String> environment, Path folder, PrintStream out, PrintStream err) {
    Cli {
        environment = Map.copyOf(environment);
        folder = folder.toAbsolutePath().normalize();
    }

    Report report(boolean json) {
        return new Report(json, out, err);
    }

    Installation installation() {
        return Installation.of(environment);
    }

    Machines machines() {
        return Machines.of(environment);
    }

    Project project() {
        return ProjectFile.find(folder);
    }

    /** A path as the user wrote it. */
    Path path(String text) {
        return folder.resolve(text);
    }
}
