package dev.metacircular.definition;

import dev.metacircular.model.Desired;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.Service;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Writes whole definition files, for people to read and go on editing. */
public final class DefinitionWriter {
    private DefinitionWriter() {}

    /** A file that {@link DefinitionReader} reads as this very service. Defaults are left out, but for {@code active}. */
    public static String write(Service service) {
        StringBuilder out = new StringBuilder();
        List<ComponentWriter.Line> head = new ArrayList<>();
        head.add(new ComponentWriter.Line("name", TomlText.string(service.name().value())));
        head.add(new ComponentWriter.Line("node", TomlText.string(service.node().value())));
        head.add(new ComponentWriter.Line("active", Boolean.toString(service.active())));
        service.path().ifPresent(p -> head.add(new ComponentWriter.Line("path", TomlText.string(p))));
        append(out, head);
        if (!service.buildImages().isEmpty()) {
            out.append("\n[build.images]\n");
            append(out, images(service.buildImages()));
        }
        for (Service.Entry entry : service.components()) {
            out.append("\n[[components]]\n");
            List<ComponentWriter.Line> keys = ComponentWriter.keys(entry.component());
            if (entry.desired() != Desired.RUNNING) {
                keys.add(
                        1,
                        new ComponentWriter.Line(
                                "desired", TomlText.string(entry.desired().toString())));
            }
            append(out, keys);
            entry.component().health().ifPresent(health -> {
                out.append("\n[components.health]\n");
                append(out, ComponentWriter.health(health));
            });
        }
        return out.toString();
    }

    private static List<ComponentWriter.Line> images(Map<String, String> images) {
        return new TreeMap<>(images)
                .entrySet().stream()
                        .map(e -> new ComponentWriter.Line(bareOrQuoted(e.getKey()), TomlText.string(e.getValue())))
                        .toList();
    }

    private static String bareOrQuoted(String key) {
        return key.matches("[A-Za-z0-9_-]+") ? key : TomlText.string(key);
    }

    private static void append(StringBuilder out, List<ComponentWriter.Line> lines) {
        int width = lines.stream().mapToInt(l -> l.key().length()).max().orElse(0);
        for (ComponentWriter.Line line : lines) {
            out.append(line.key())
                    .append(" ".repeat(width - line.key().length()))
                    .append(" = ")
                    .append(line.value())
                    .append('\n');
        }
    }

    /** A first file for a new service of one component that bears its name, with the most wanted keys as comments. */
    public static String template(Name service, Name node, ImageRef image) {
        return """
                name   = %1$s
                node   = %2$s
                active = true
                # path = %1$s                # sources, below [build].workspace of mcp.toml

                # [build.images]
                # %3$s = "Dockerfile"

                [[components]]
                name    = %1$s
                image   = %4$s
                # restart = "unless-stopped"   # no, on-failure[:n], always
                # ports   = ["127.0.0.1:18080:8080"]
                # volumes = ["data:/data"]     # below /srv/<service>/
                # env     = ["LOG_LEVEL=info"]
                # secrets = ["DB_PASSWORD"]
                # memory_mb = 256

                # [components.health]
                # http = "8080/healthz"
                """.formatted(
                        TomlText.string(service.value()),
                        TomlText.string(node.value()),
                        bareOrQuoted(image.lastSegment()),
                        TomlText.string(image.toString()));
    }
}
