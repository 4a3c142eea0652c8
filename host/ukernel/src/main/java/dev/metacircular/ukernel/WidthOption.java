package dev.metacircular.ukernel;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The width of what a command draws. */
final class WidthOption {
    private static final int COLUMNS_MIN = 40;
    private static final int COLUMNS_MAX = 10_000;

    @Option(names = "--width", paramLabel = "COLUMNS", description = "The terminal's unless told.")
    private @Nullable Integer width;

    /** @param command that the option is of */
    int columns(Cli cli, String command) {
        return width == null
                ? Terminal.columns(cli.environment())
                : Bounds.check(command, "--width", width, COLUMNS_MIN, COLUMNS_MAX);
    }
}
