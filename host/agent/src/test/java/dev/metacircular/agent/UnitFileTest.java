package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.definition.Address;
import dev.metacircular.definition.AgentConfig;
import dev.metacircular.model.Name;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class UnitFileTest {
    /** Of 100, systemd 252 says 21. What is left is the network, the file system of the services, and the JVM's writable code. */
    private static final double MOST_EXPOSURE = 22;

    private static final SystemUser USER = new SystemUser("mcp", 997, 996, Path.of("/home/mcp"));

    @TempDir
    private Path directory;

    private static UnitFile unit(AgentConfig config, boolean forMachine) {
        return new UnitFile(
                Path.of("/var/lib/mcp"), USER, Path.of("/opt/metacircular/bin/mcp-agent"), config, forMachine);
    }

    private static AgentConfig config() {
        return AgentConfig.initial(Name.of("alpha"), Address.parse("10.0.0.2:7443"));
    }

    @Test
    void systemdRatesTheMachinesUnitAsHardened() throws IOException {
        assumeTrue(Programs.find("systemd-analyze").isPresent(), "NOT RUN: systemd-analyze is not installed");
        Path file = Files.writeString(
                directory.resolve(UnitFile.NAME), unit(config(), true).text());
        Programs.Result verdict = Programs.run(
                Duration.ofSeconds(60),
                List.of(
                        "systemd-analyze",
                        "security",
                        "--no-pager",
                        "--offline=yes",
                        "--threshold=100",
                        file.toString()));
        Matcher level =
                Pattern.compile("Overall exposure level for [^:]*: ([0-9.]+)").matcher(verdict.output());

        assertThat(level.find()).as(verdict.output()).isTrue();
        assertThat(Double.parseDouble(level.group(1)) * 10).as(verdict.output()).isLessThanOrEqualTo(MOST_EXPOSURE);
    }

    @Test
    void whatTheConfigurationNamesInAHomeIsShownInTheUnit() {
        AgentConfig plain = config();
        AgentConfig config = new AgentConfig(
                plain.node(),
                plain.listen(),
                false,
                plain.limits(),
                Path.of("/home/srv"),
                List.of(Path.of("/home/ann/cert s"), Path.of("/etc/ssl")),
                Optional.of(new AgentConfig.Alert(
                        List.of("/root/page", "x"), Duration.ofSeconds(1), Duration.ofSeconds(1))),
                Map.of(),
                plain.vmm(),
                plain.accelerator(),
                Optional.of(Path.of("/home/ops")),
                Optional.empty(),
                plain.maxFileBytes());

        assertThat(unit(config, true).text().lines())
                .contains(
                        "ReadWritePaths=-/var/lib/mcp -/home/srv -/home/mcp/.config/containers/certs.d -/run/user/997",
                        "BindPaths=-/home/srv",
                        "BindPaths=-/home/mcp/.config/containers/certs.d",
                        "BindReadOnlyPaths=\"-/home/ann/cert s\"",
                        "BindReadOnlyPaths=-/root/page",
                        "BindReadOnlyPaths=-/home/ops/.ops")
                .noneMatch(l -> l.startsWith("BindReadOnlyPaths=") && l.contains("/etc"));
    }

    @Test
    void aUsersOwnUnitIsForTheUsersManager() {
        UnitFile unit = unit(config(), false);

        assertThat(unit.place()).isEqualTo(Path.of("/home/mcp/.config/systemd/user/mcp-agent.service"));
        assertThat(unit.text())
                .contains(
                        "WantedBy=default.target", "ExecStart=/opt/metacircular/bin/mcp-agent run --dir /var/lib/mcp");
        assertThat(unit.enableCommand()).isEqualTo("systemctl --user enable --now mcp-agent");
    }
}
