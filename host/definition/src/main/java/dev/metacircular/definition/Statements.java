package dev.metacircular.definition;

import java.util.ArrayList;
import java.util.List;
import org.tomlj.Toml;

/** Where each header and each key of a TOML text stands, so that the text can be changed there and nowhere else. */
final class Statements {
    private final String text;
    private int at;

    private Statements(String text) {
        this.text = text;
    }

    enum Kind {
        TABLE,
        ARRAY_TABLE,
        KEY
    }

    /**
     * Offsets are in UTF-16 units.
     *
     * @param keys of a header the table's, of a key its own below the header before it
     * @param start of the first bracket or of the key
     * @param keyEnd where the white space before {@code =} begins, or {@code end} of a header
     * @param valueStart of a key's value; {@code start} of a header
     * @param end where the value or the header ends; a comment may follow
     */
    record Statement(Kind kind, List<String> keys, int start, int keyEnd, int valueStart, int end) {}

    /**
     * All statements in the text's order.
     *
     * @throws IllegalArgumentException possible only if the text is not valid TOML
     */
    static List<Statement> of(String text) {
        return new Statements(text).all();
    }

    private List<Statement> all() {
        List<Statement> statements = new ArrayList<>();
        if (text.startsWith("\uFEFF")) {
            at = 1;
        }
        while (true) {
            while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
                at++;
            }
            if (at >= text.length()) {
                return statements;
            }
            if (text.charAt(at) == '#') {
                skipLine();
            } else {
                statements.add(text.charAt(at) == '[' ? header() : key());
                skipLine();
            }
        }
    }

    private Statement header() {
        int start = at;
        int brackets = text.startsWith("[[", at) ? 2 : 1;
        at += brackets;
        int keyStart = at;
        skipKey(']');
        List<String> keys = Toml.parseDottedKey(text.substring(keyStart, at));
        at += brackets;
        return new Statement(brackets == 2 ? Kind.ARRAY_TABLE : Kind.TABLE, keys, start, at, start, at);
    }

    private Statement key() {
        int start = at;
        skipKey('=');
        int keyEnd = start + text.substring(start, at).stripTrailing().length();
        List<String> keys = Toml.parseDottedKey(text.substring(start, keyEnd));
        at++;
        while (at < text.length() && isBlank(text.charAt(at))) {
            at++;
        }
        int valueStart = at;
        skipValue();
        return new Statement(Kind.KEY, keys, start, keyEnd, valueStart, at);
    }

    private void skipKey(char end) {
        while (at < text.length() && text.charAt(at) != end) {
            if (text.charAt(at) == '"' || text.charAt(at) == '\'') {
                skipString();
            } else {
                at++;
            }
        }
        if (at >= text.length()) {
            throw new IllegalArgumentException("a key without an end");
        }
    }

    private void skipValue() {
        char first = at < text.length() ? text.charAt(at) : '\n';
        if (first == '"' || first == '\'') {
            skipString();
        } else if (first == '[' || first == '{') {
            skipBracketed();
        } else {
            int start = at;
            while (at < text.length() && text.charAt(at) != '\n' && text.charAt(at) != '#') {
                at++;
            }
            at = start + text.substring(start, at).stripTrailing().length();
        }
    }

    private void skipBracketed() {
        int depth = 0;
        do {
            if (at >= text.length()) {
                throw new IllegalArgumentException("a bracket without an end");
            }
            char c = text.charAt(at);
            switch (c) {
                case '"', '\'' -> skipString();
                case '#' -> skipLine();
                default -> {
                    depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
                    at++;
                }
            }
        } while (depth > 0);
    }

    private void skipString() {
        char quote = text.charAt(at);
        String three = String.valueOf(quote).repeat(3);
        boolean multiline = text.startsWith(three, at);
        String end = multiline ? three : String.valueOf(quote);
        at += end.length();
        while (!text.startsWith(end, at)) {
            if (at >= text.length()) {
                throw new IllegalArgumentException("a string without an end");
            }
            at += quote == '"' && text.charAt(at) == '\\' ? 2 : 1;
        }
        at += end.length();
        // Up to two quotes may stand right before the closing three.
        for (int more = 0; multiline && more < 2 && at < text.length() && text.charAt(at) == quote; more++) {
            at++;
        }
    }

    private void skipLine() {
        int newline = text.indexOf('\n', at);
        at = newline < 0 ? text.length() : newline + 1;
    }

    private static boolean isBlank(char c) {
        return c == ' ' || c == '\t';
    }
}
