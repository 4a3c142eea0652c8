package dev.metacircular.definition;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.Supplier;
import org.tomlj.Toml;
import org.tomlj.TomlParseError;
import org.tomlj.TomlParseOptions;
import org.tomlj.TomlParseResult;
import org.tomlj.TomlPosition;
import org.tomlj.TomlVersion;

/** TOML 1.1 text with its faults of syntax. */
final class Source {
    /** Comments are of no use here: changes are made in the text itself. */
    private static final TomlParseOptions OPTIONS =
            TomlParseOptions.sourceless().withVersion(TomlVersion.V1_1_0).withMaxNestingDepth(Limits.NESTING);

    private static final String BYTE_ORDER_MARK = "\uFEFF";
    private static final String EXPECTED_MARK = ", expected ";

    private Source() {}

    /**
     * Reads the text as a whole.
     *
     * @param reader records further faults; what it returns counts only if there are none at all
     */
    static <T> Parsed<T> read(String text, int maxBytes, Function<Table, Supplier<T>> reader, Faults faults) {
        String body = text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text;
        if (body.length() > maxBytes || Utf8.length(body) > maxBytes) {
            faults.add(Faults.START, "more than " + maxBytes + " bytes", "a smaller file");
            return faults.faulty();
        }
        if (body.lines().skip(Limits.FILE_LINES).findAny().isPresent()) {
            faults.add(Faults.START, "more than " + Limits.FILE_LINES + " lines", "a shorter file");
            return faults.faulty();
        }
        TomlParseResult result = Toml.parse(body, OPTIONS);
        List<String> lines = result.hasErrors() ? body.lines().toList() : List.of();
        boolean lost = false;
        for (TomlParseError error : ordered(result.errors())) {
            addSyntax(error, faults);
            lost |= isHeader(lines, error.position());
        }
        if (lost) {
            return faults.faulty();
        }
        Supplier<T> value = reader.apply(new Table(result, Faults.START, faults));
        return faults.isEmpty() ? new Parsed.Valid<>(value.get()) : faults.faulty();
    }

    private static List<TomlParseError> ordered(List<TomlParseError> errors) {
        List<TomlParseError> ordered = new ArrayList<>(errors);
        ordered.sort((a, b) -> a.position().line() != b.position().line()
                ? Integer.compare(a.position().line(), b.position().line())
                : Integer.compare(a.position().column(), b.position().column()));
        return ordered;
    }

    /** Below a header that could not be read, keys stand in the wrong table: nothing else can be told of them. */
    private static boolean isHeader(List<String> lines, TomlPosition at) {
        return at.line() <= lines.size() && lines.get(at.line() - 1).strip().startsWith("[");
    }

    private static void addSyntax(TomlParseError error, Faults faults) {
        String message = String.valueOf(error.getMessage());
        int split = message.lastIndexOf(EXPECTED_MARK);
        if (split > 0) {
            faults.addSyntax(
                    error.position(),
                    message.substring(0, 1).toLowerCase(Locale.ROOT) + message.substring(1, split),
                    message.substring(split + EXPECTED_MARK.length()));
        } else if (message.contains(" previously defined at ")) {
            faults.addSyntax(error.position(), message.replace("previously defined", "was defined before,"), "it once");
        } else {
            faults.addSyntax(error.position(), message, "valid TOML");
        }
    }
}
