package dev.metacircular.definition;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;

/** Writes a whole {@code agent.toml}; a section that is all defaults stands there as a comment, to be filled in. */
final class AgentConfigWriter {
    private AgentConfigWriter() {}

    static String write(AgentConfig c) {
        List<String> lines = new ArrayList<>();
        lines.add("node   = " + TomlText.string(c.node().value()));
        lines.add("listen = " + TomlText.string(c.listen().toString()));
        if (c.allowWildcardBind()) {
            lines.add("allow_wildcard_bind = true");
        }
        lines.add("limits = " + choice(c.limits())
                + "   # or \"best-effort\": run what asks for a limit that this node cannot enforce");
        lines.add("");
        lines.add("[paths]");
        lines.add("services = " + TomlText.string(c.services().toString()));
        lines.add("allow    = " + TomlText.strings(c.allowedHostPaths()) + "   # host paths that volumes may name");
        lines.add("");
        c.podmanSocket().ifPresent(s -> {
            lines.add("[podman]");
            lines.add("socket = " + TomlText.string(s.toString()));
            lines.add("");
        });
        c.alert()
                .ifPresentOrElse(
                        a -> {
                            lines.add("[alert]");
                            lines.add("command    = " + TomlText.strings(a.command()));
                            lines.add("cooldown_s = " + TomlText.seconds(a.cooldown()));
                            lines.add("timeout_s  = " + TomlText.seconds(a.timeout()));
                        },
                        () -> {
                            lines.add("# [alert]");
                            lines.add("# command = [\"/usr/local/bin/page\"]");
                        });
        lines.add("");
        new TreeMap<>(c.registries()).forEach((host, r) -> {
            lines.add("[registries." + TomlText.string(host) + "]");
            r.authFile().ifPresent(f -> lines.add("auth_file = " + TomlText.string(f.toString())));
            r.ca().ifPresent(f -> lines.add("ca = " + TomlText.string(f.toString())));
            if (r.insecure()) {
                lines.add("insecure = true");
            }
            lines.add("");
        });
        if (c.registries().isEmpty()) {
            lines.add("# [registries.\"registry.example:5000\"]");
            lines.add("# auth_file = \"auth.json\"");
            lines.add("# ca        = \"registry-ca.pem\"   # or insecure = true");
            lines.add("");
        }
        lines.add("[microvm]");
        lines.add("vmm   = " + choice(c.vmm()));
        lines.add("accel = " + choice(c.accelerator()));
        c.opsHome().ifPresent(h -> lines.add("ops_home = " + TomlText.string(h.toString())));
        lines.add("");
        lines.add("[files]");
        lines.add("max_mb = " + (c.maxFileBytes() >> 20) + "   # the largest file that mcp push and pull move, in MiB");
        return String.join("\n", lines) + "\n";
    }

    private static String choice(Enum<?> value) {
        return TomlText.string(value.name().toLowerCase(Locale.ROOT).replace('_', '-'));
    }
}
