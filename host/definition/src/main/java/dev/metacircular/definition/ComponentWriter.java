package dev.metacircular.definition;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.RuntimeKind;
import java.util.ArrayList;
import java.util.List;

/** A component's keys in the one order in which all our files have them, without those that have their default. */
final class ComponentWriter {
    private ComponentWriter() {}

    /** @param value as TOML */
    record Line(String key, String value) {}

    static List<Line> keys(Component c) {
        List<Line> lines = new ArrayList<>();
        boolean unikernel = c.runtime() == RuntimeKind.UNIKERNEL;
        lines.add(new Line("name", TomlText.string(c.name().value())));
        if (unikernel) {
            lines.add(new Line("runtime", TomlText.string(c.runtime().toString())));
        }
        c.kernel()
                .filter(k -> k != Kernel.UKERNEL)
                .ifPresent(k -> lines.add(new Line("kernel", TomlText.string(k.toString()))));
        lines.add(new Line("image", TomlText.string(c.image().toString())));
        c.network().ifPresent(n -> lines.add(new Line("network", TomlText.string(n.value()))));
        c.user().ifPresent(u -> lines.add(new Line("user", TomlText.string(u))));
        if (!(c.restart() instanceof RestartPolicy.UnlessStopped)) {
            lines.add(new Line("restart", TomlText.string(c.restart().toString())));
        }
        list(lines, "ports", c.ports());
        list(lines, "volumes", c.volumes());
        list(lines, "cmd", c.command());
        list(lines, "env", c.env());
        list(lines, "secrets", c.secrets());
        c.memoryMb().ifPresent(m -> {
            if (!unikernel || m != ComponentReader.DEFAULT_UNIKERNEL_MEMORY_MB) {
                lines.add(new Line("memory_mb", Integer.toString(m)));
            }
        });
        c.cpus().ifPresent(n -> lines.add(new Line("cpus", TomlText.number(n))));
        c.vcpus().ifPresent(n -> {
            if (n != ComponentReader.DEFAULT_VCPUS) {
                lines.add(new Line("vcpus", Integer.toString(n)));
            }
        });
        if (!c.hold().equals(Component.DEFAULT_HOLD)) {
            lines.add(new Line("hold_s", TomlText.seconds(c.hold())));
        }
        return lines;
    }

    static List<Line> health(HealthCheck health) {
        List<Line> lines = new ArrayList<>();
        lines.add(
                switch (health) {
                    case HealthCheck.Http(int port, String path, var _) ->
                        new Line("http", TomlText.string(port + path));
                    case HealthCheck.Tcp(int port, var _) -> new Line("tcp", Integer.toString(port));
                    case HealthCheck.Command(var command, var _) -> new Line("cmd", TomlText.strings(command));
                });
        if (!health.timeout().equals(HealthCheck.DEFAULT_TIMEOUT)) {
            lines.add(new Line("timeout_s", TomlText.seconds(health.timeout())));
        }
        return lines;
    }

    private static void list(List<Line> lines, String key, List<?> values) {
        if (!values.isEmpty()) {
            lines.add(new Line(key, TomlText.strings(values)));
        }
    }
}
