package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.ProblemException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ClientDirectoryTest {
    private static final Map<String, String> ALL = Map.of("MCP_CONFIG", "/m", "XDG_CONFIG_HOME", "/x", "HOME", "/h");

    @Test
    void theOptionGoesFirstThenTheVariablesInTurn() {
        assertThat(ClientDirectory.find(Optional.of(Path.of("/o/../p")), ALL)).isEqualTo(Path.of("/p"));
        assertThat(ClientDirectory.find(Optional.empty(), ALL)).isEqualTo(Path.of("/m"));
        assertThat(ClientDirectory.find(Optional.empty(), Map.of("XDG_CONFIG_HOME", "/x", "HOME", "/h")))
                .isEqualTo(Path.of("/x/mcp"));
        assertThat(ClientDirectory.find(Optional.empty(), Map.of("HOME", "/h"))).isEqualTo(Path.of("/h/.config/mcp"));
    }

    @Test
    void anEmptyVariableAndARelativeXdgDirectoryAreIgnored() {
        assertThat(ClientDirectory.find(
                        Optional.empty(), Map.of("MCP_CONFIG", "", "XDG_CONFIG_HOME", "relative", "HOME", "/h")))
                .isEqualTo(Path.of("/h/.config/mcp"));
    }

    @Test
    void aRelativeOptionIsTheWorkingDirectorys() {
        assertThat(ClientDirectory.find(Optional.of(Path.of("conf")), ALL))
                .isEqualTo(Path.of("conf").toAbsolutePath());
    }

    @Test
    void nothingToGoByIsAProblem() {
        assertThatThrownBy(() -> ClientDirectory.find(Optional.empty(), Map.of()))
                .isInstanceOf(ProblemException.class)
                .hasMessageContaining("give --config DIR, or set MCP_CONFIG");
    }
}
