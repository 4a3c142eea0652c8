package dev.metacircular.definition;

import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Reads an {@code mcp.toml} in the plain layout that nearly all have: {@code [build]} and {@code [nodes.NAME]} tables of
 * basic strings without escapes. It gives up at anything else, faults included, and the TOML parser reads the file: loading
 * that costs a short command tens of milliseconds.
 */
final class PlainClientConfig {
    private static final int MAX_CHARS = 64 << 10;
    private static final String NODES = "nodes.";
    private static final Set<String> NODE_KEYS = Set.of("address", "ca", "token_file");
    private static final Set<String> BUILD_KEYS = Set.of("workspace", "builder", "parallel");

    private final Map<String, Map<String, String>> tables = new HashMap<>();
    private String table = "";

    private PlainClientConfig() {}

    /** Empty if the text is not plain; else what the TOML parser's way would yield. */
    static Optional<ClientConfig> read(String text, Paths paths) {
        if (text.length() > MAX_CHARS) {
            return Optional.empty();
        }
        try {
            PlainClientConfig plain = new PlainClientConfig();
            for (int start = 0; start < text.length(); ) {
                int newline = text.indexOf('\n', start);
                int end = newline < 0 ? text.length() : newline;
                boolean carriageReturn = newline > start && text.charAt(newline - 1) == '\r';
                plain.line(text.substring(start, carriageReturn ? end - 1 : end));
                start = end + 1;
            }
            return Optional.of(plain.config(paths));
        } catch (IllegalArgumentException _) {
            return Optional.empty();
        }
    }

    private static void require(boolean plain) {
        if (!plain) {
            throw new IllegalArgumentException("not plain");
        }
    }

    private void line(String line) {
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            require(c == '\t' || (c >= ' ' && c < 0x7f) || (c >= 0xa0 && c < Character.MIN_SURROGATE));
        }
        int start = skipBlanks(line, 0);
        if (start == line.length() || line.charAt(start) == '#') {
            return;
        }
        if (line.charAt(start) == '[') {
            int end = line.indexOf(']', start);
            require(end > 0);
            table = line.substring(start + 1, end);
            require(table.equals("build")
                    || (table.startsWith(NODES) && Name.isValid(table.substring(NODES.length()))));
            require(tables.put(table, new HashMap<>()) == null);
            requireEnd(line, end + 1);
        } else {
            key(line, start);
        }
    }

    private void key(String line, int start) {
        int end = start;
        while (end < line.length() && (line.charAt(end) == '_' || Character.isLowerCase(line.charAt(end)))) {
            end++;
        }
        String key = line.substring(start, end);
        int sign = skipBlanks(line, end);
        require(sign < line.length() && line.charAt(sign) == '=');
        int value = skipBlanks(line, sign + 1);
        require(value < line.length());
        int valueEnd;
        if (key.equals("parallel")) {
            valueEnd = value;
            while (valueEnd < line.length() && line.charAt(valueEnd) >= '0' && line.charAt(valueEnd) <= '9') {
                valueEnd++;
            }
            require(valueEnd > value && valueEnd <= value + 2 && line.charAt(value) != '0');
        } else {
            require(line.charAt(value) == '"');
            valueEnd = line.indexOf('"', ++value);
            require(valueEnd > value);
        }
        String text = line.substring(value, valueEnd);
        require(text.indexOf('\\') < 0);
        Map<String, String> keys = tables.getOrDefault(table, Map.of());
        require(!table.isEmpty() && (table.equals("build") ? BUILD_KEYS : NODE_KEYS).contains(key));
        require(keys.put(key, text) == null);
        requireEnd(line, key.equals("parallel") ? valueEnd : valueEnd + 1);
    }

    private static int skipBlanks(String line, int from) {
        int at = from;
        while (at < line.length() && (line.charAt(at) == ' ' || line.charAt(at) == '\t')) {
            at++;
        }
        return at;
    }

    private static void requireEnd(String line, int from) {
        int at = skipBlanks(line, from);
        require(at == line.length() || line.charAt(at) == '#');
    }

    private ClientConfig config(Paths paths) {
        TreeMap<Name, ClientConfig.Node> nodes = new TreeMap<>();
        tables.forEach((header, keys) -> {
            if (header.startsWith(NODES)) {
                require(keys.size() == NODE_KEYS.size());
                Name name = Name.of(header.substring(NODES.length()));
                Address address = Address.parse(value(keys, "address"));
                require(address.port() > 0);
                nodes.put(
                        name,
                        new ClientConfig.Node(name, address, path(keys, "ca", paths), path(keys, "token_file", paths)));
            }
        });
        require(nodes.size() <= Limits.NODES);
        Map<String, String> build = tables.getOrDefault("build", Map.of());
        String builder = build.getOrDefault("builder", ClientConfig.DEFAULT_BUILDER);
        require(builder.equals(ClientConfig.DEFAULT_BUILDER));
        int parallel = build.containsKey("parallel")
                ? Integer.parseInt(value(build, "parallel"))
                : ClientConfig.DEFAULT_PARALLEL;
        require(parallel <= Limits.PARALLEL_MAX);
        Optional<Path> workspace =
                build.containsKey("workspace") ? Optional.of(path(build, "workspace", paths)) : Optional.empty();
        return new ClientConfig(workspace, builder, parallel, nodes);
    }

    private static String value(Map<String, String> keys, String key) {
        return keys.getOrDefault(key, "");
    }

    private static Path path(Map<String, String> keys, String key, Paths paths) {
        return paths.resolve(value(keys, key)).orElseThrow(() -> new IllegalArgumentException("no path"));
    }
}
