package dev.metacircular.definition;

import dev.metacircular.model.Desired;
import dev.metacircular.model.Service;
import java.util.List;
import java.util.Random;

/** A service in the manners in which people write TOML: the same meaning, another text for each seed. */
final class Styled {
    private final Random random;
    private final StringBuilder out = new StringBuilder();

    private Styled(long seed) {
        this.random = new Random(seed);
    }

    static String write(Service service, long seed) {
        return new Styled(seed).service(service);
    }

    private String service(Service s) {
        if (random.nextInt(5) == 0) {
            out.append('\uFEFF');
        }
        comment();
        key("name", literal(s.name().value()));
        key("node", literal(s.node().value()));
        if (!s.active() || random.nextBoolean()) {
            key("active", Boolean.toString(s.active()));
        }
        s.path().ifPresent(p -> key("path", TomlText.string(p)));
        if (!s.buildImages().isEmpty()) {
            if (random.nextBoolean()) {
                header("[ build . images ]");
                s.buildImages().forEach((k, v) -> key(TomlText.string(k), TomlText.string(v)));
            } else {
                s.buildImages().forEach((k, v) -> key("build.images." + TomlText.string(k), TomlText.string(v)));
            }
        }
        s.components().forEach(this::component);
        String text = out.toString();
        if (random.nextInt(4) == 0) {
            text = text.stripTrailing();
        }
        return random.nextInt(4) == 0 ? text.replace("\n", "\r\n") : text;
    }

    private void component(Service.Entry entry) {
        header(random.nextBoolean() ? "[[components]]" : "[[ \"components\" ]]");
        boolean first = random.nextInt(3) == 0;
        boolean written = entry.desired() != Desired.RUNNING || random.nextInt(3) == 0;
        if (written && first) {
            key("desired", literal(entry.desired().toString()));
        }
        for (ComponentWriter.Line line : ComponentWriter.keys(entry.component())) {
            key(
                    line.key(),
                    line.key().equals("name") ? literal(entry.component().name().value()) : line.value());
        }
        if (written && !first) {
            key("'desired'", literal(entry.desired().toString()));
        }
        entry.component().health().ifPresent(health -> {
            List<ComponentWriter.Line> lines = ComponentWriter.health(health);
            if (random.nextBoolean()) {
                header("[components.health]");
                lines.forEach(l -> key(l.key(), l.value()));
            } else {
                lines.forEach(l -> key("health." + l.key(), l.value()));
            }
        });
    }

    /** One of TOML's four ways to write a plain word, or an array spread over lines. */
    private String literal(String word) {
        return switch (random.nextInt(6)) {
            case 0 -> "'" + word + "'";
            case 1 -> "\"\"\"" + word + "\"\"\"";
            case 2 -> "'''\n" + word + "'''";
            case 3 -> "\"\"\"\\\n   " + word + "\"\"\"";
            default -> "\"" + word + "\"";
        };
    }

    private void header(String header) {
        comment();
        out.append(indent()).append(header);
        endOfLine();
    }

    private void key(String key, String value) {
        String spread = value.startsWith("[\"") && random.nextInt(3) == 0
                ? "[ # ] desired = 1\n  " + value.substring(1, value.length() - 1) + " , # \"\n ]"
                : value;
        String spaces = " ".repeat(random.nextInt(4));
        out.append(indent())
                .append(key)
                .append(spaces)
                .append('=')
                .append(" ".repeat(random.nextInt(3)))
                .append(spread);
        endOfLine();
        comment();
    }

    private String indent() {
        return random.nextInt(3) == 0 ? (random.nextBoolean() ? "  " : "\t") : "";
    }

    private void endOfLine() {
        out.append(
                switch (random.nextInt(5)) {
                    case 0 -> " # a comment = \"with ]] and [[\"";
                    case 1 -> "\t#";
                    case 2 -> "  ";
                    default -> "";
                });
        out.append('\n');
    }

    private void comment() {
        out.append(
                switch (random.nextInt(8)) {
                    case 0 -> "\n";
                    case 1 -> "# desired = \"ignore\"\n";
                    case 2 -> "\n  # [[components]] ' \"\"\" \n\n";
                    default -> "";
                });
    }
}
