package dev.metacircular.definition;

import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The CLI's {@code mcp.toml}. Every path is absolute.
 *
 * @param workspace below which services' sources are
 * @param builder the program that builds images
 * @param parallel how many images are built at a time
 */
public record ClientConfig(Optional<Path> workspace, String builder, int parallel, SortedMap<Name, Node> nodes) {
    /** The file's name in the CLI's directory. */
    public static final String FILE_NAME = "mcp.toml";

    static final String DEFAULT_BUILDER = "podman";
    static final int DEFAULT_PARALLEL = 2;

    public ClientConfig {
        nodes = Collections.unmodifiableSortedMap(new TreeMap<>(nodes));
    }

    /**
     * A node that the CLI may talk to.
     *
     * @param ca the certificate authority that the agent's certificate must be of, PEM
     * @param tokenFile holds the operator's token
     */
    public record Node(Name name, Address address, Path ca, Path tokenFile) {}

    /** The configuration where there is no file. */
    public static ClientConfig empty() {
        return new ClientConfig(Optional.empty(), DEFAULT_BUILDER, DEFAULT_PARALLEL, new TreeMap<>());
    }
}
