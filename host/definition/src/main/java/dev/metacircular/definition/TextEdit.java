package dev.metacircular.definition;

/** Changes of a text by lines, in the manner in which the text is written already. */
final class TextEdit {
    private TextEdit() {}

    static String replace(String text, int start, int end, String replacement) {
        return text.substring(0, start) + replacement + text.substring(end);
    }

    static int lineStart(String text, int offset) {
        return text.lastIndexOf('\n', offset - 1) + 1;
    }

    /** Past the line's newline, or the text's end. */
    static int lineEnd(String text, int offset) {
        int newline = text.indexOf('\n', offset);
        return newline < 0 ? text.length() : newline + 1;
    }

    /** The newline that the text uses first. */
    static String newline(String text) {
        int first = text.indexOf('\n');
        return first > 0 && text.charAt(first - 1) == '\r' ? "\r\n" : "\n";
    }

    /** Inserts a key below another, indented and aligned as that one is. */
    static String insertBelow(String text, Statements.Statement above, String key, String value) {
        int start = lineStart(text, above.start());
        String indent = text.substring(start, above.start()).replace("\uFEFF", "");
        String beforeSign = text.substring(above.keyEnd(), text.indexOf('=', above.keyEnd()));
        String afterSign = text.substring(text.indexOf('=', above.keyEnd()) + 1, above.valueStart());
        int signColumn = above.keyEnd() - above.start() + beforeSign.length();
        String padding = beforeSign.isEmpty() ? "" : " ".repeat(Math.max(1, signColumn - key.length()));
        String line = indent + key + padding + "=" + afterSign + value;
        int end = lineEnd(text, above.end());
        boolean ended = text.charAt(end - 1) == '\n' && end > above.end();
        return ended ? replace(text, end, end, line + newline(text)) : replace(text, end, end, newline(text) + line);
    }
}
