package dev.metacircular.definition;

import dev.metacircular.model.Problem;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** Where the CLI keeps its files: configuration, service definitions, certificates and tokens. */
public final class ClientDirectory {
    private ClientDirectory() {}

    /**
     * The option's value, else {@code MCP_CONFIG}, else {@code mcp} below {@code XDG_CONFIG_HOME} (XDG Base Directory
     * Specification 0.8: a relative one is ignored), else {@code ~/.config/mcp}. An empty variable is an absent one. The
     * directory need not exist.
     *
     * @param option of the command line
     * @return an absolute path
     * @throws dev.metacircular.model.ProblemException INVALID if nothing names a directory
     */
    public static Path find(Optional<Path> option, Map<String, String> environment) {
        return option.or(() -> variable(environment, "MCP_CONFIG").map(Path::of))
                .or(() -> variable(environment, "XDG_CONFIG_HOME")
                        .map(Path::of)
                        .filter(Path::isAbsolute)
                        .map(p -> p.resolve("mcp")))
                .or(() -> variable(environment, "HOME").map(h -> Path.of(h, ".config", "mcp")))
                .orElseThrow(() -> Problem.of(Problem.Kind.INVALID, "no configuration directory: HOME is not set")
                        .next("give --config DIR, or set MCP_CONFIG")
                        .exception())
                .toAbsolutePath()
                .normalize();
    }

    private static Optional<String> variable(Map<String, String> environment, String name) {
        return Optional.ofNullable(environment.get(name)).filter(v -> !v.isEmpty());
    }
}
