package dev.metacircular.ukernel;

import picocli.CommandLine.Option;

/** The options that every command has. */
final class JsonOption {
    @Option(names = "--json", description = "Results and failures as JSON on standard output.")
    boolean json;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Shows this and ends.")
    boolean help;
}
