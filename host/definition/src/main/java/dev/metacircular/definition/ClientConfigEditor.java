package dev.metacircular.definition;

import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Changes the nodes in the text of an {@code mcp.toml}; the caller checks what became of it. */
final class ClientConfigEditor {
    private static final String NODES = "nodes";

    private ClientConfigEditor() {}

    static String add(String text, ClientConfig.Node node, Path file) {
        String newline = TextEdit.newline(text);
        StringBuilder out = new StringBuilder(text);
        if (!text.isEmpty() && !text.endsWith("\n")) {
            out.append(newline);
        }
        if (!text.isBlank()) {
            out.append(newline);
        }
        out.append("[nodes.").append(node.name()).append(']').append(newline);
        out.append("address    = ")
                .append(TomlText.string(node.address().toString()))
                .append(newline);
        out.append("ca         = ").append(path(node.ca(), file)).append(newline);
        out.append("token_file = ").append(path(node.tokenFile(), file)).append(newline);
        return out.toString();
    }

    private static String path(Path path, Path file) {
        Path folder = file.getParent();
        Path written =
                folder != null && path.startsWith(folder) && !path.equals(folder) ? folder.relativize(path) : path;
        return TomlText.string(written.toString());
    }

    /** @throws IllegalArgumentException if no statement is about this node alone */
    static String remove(String text, Name name) {
        List<Statements.Statement> statements = Statements.of(text);
        List<String> node = List.of(NODES, name.value());
        List<int[]> cuts = new ArrayList<>();
        List<String> table = List.of();
        for (int i = 0; i < statements.size(); i++) {
            Statements.Statement s = statements.get(i);
            boolean header = s.kind() != Statements.Kind.KEY;
            List<String> path = new ArrayList<>(header ? List.of() : table);
            path.addAll(s.keys());
            if (header) {
                table = s.keys();
            }
            if (startsWith(path, node)) {
                int from = header ? withComments(text, s) : TextEdit.lineStart(text, s.start());
                cuts.add(new int[] {from, TextEdit.lineEnd(text, s.end())});
            }
        }
        if (cuts.isEmpty()) {
            throw new IllegalArgumentException("node '" + name + "' stands in an inline table");
        }
        return cut(text, cuts);
    }

    /** The start of the comment lines right above a header, unless they open the file: those are about all of it. */
    private static int withComments(String text, Statements.Statement header) {
        int start = TextEdit.lineStart(text, header.start());
        int from = start;
        while (from > 0) {
            int above = TextEdit.lineStart(text, from - 1);
            if (!text.substring(above, from).strip().startsWith("#")) {
                return from;
            }
            from = above;
        }
        return start;
    }

    private static String cut(String text, List<int[]> cuts) {
        String result = text;
        for (int[] cut : cuts.reversed()) {
            int from = cut[0];
            int to = cut[1];
            boolean lineAboveIsBlank = from > 0
                    && result.substring(TextEdit.lineStart(result, from - 1), from)
                            .isBlank();
            boolean blankBelow = to == result.length()
                    || result.substring(to, TextEdit.lineEnd(result, to)).isBlank();
            if (lineAboveIsBlank && blankBelow) {
                from = TextEdit.lineStart(result, from - 1);
            }
            result = TextEdit.replace(result, from, to, "");
        }
        return result;
    }

    private static boolean startsWith(List<String> path, List<String> prefix) {
        return path.size() >= prefix.size() && path.subList(0, prefix.size()).equals(prefix);
    }
}
