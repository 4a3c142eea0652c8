package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class SystemUserTest {
    @Test
    void anAgentsUserIsMadeWithTheGroupThatMayUseKvm() {
        assertThat(SystemUser.making("mcp", true))
                .containsSequence("--groups", "kvm")
                .endsWith("mcp");
        assertThat(SystemUser.making("mcp", false)).doesNotContain("--groups").endsWith("mcp");
    }
}
