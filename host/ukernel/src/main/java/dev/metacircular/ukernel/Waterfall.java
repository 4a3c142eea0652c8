package dev.metacircular.ukernel;

import dev.metacircular.vm.TraceEntry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Spans as lines for a terminal: names indented by their depth, how long they took, and a bar where in the time of their root they lie. */
final class Waterfall {
    private static final int NAME_COLUMNS_MAX = 40;
    private static final int BAR_COLUMNS_MIN = 10;
    private static final int DURATION_COLUMNS = 10;

    private final int columns;
    private final int depthMax;

    /**
     * @param columns of the terminal
     * @param depthMax spans deeper than this are counted in the one around them
     */
    Waterfall(int columns, int depthMax) {
        this.columns = columns;
        this.depthMax = depthMax;
    }

    /** The lines of one span and those in it. */
    List<String> lines(Trace.Span root) {
        List<Row> rows = new ArrayList<>();
        collect(root, 0, rows);
        int names = Math.min(
                Math.min(NAME_COLUMNS_MAX, columns / 2),
                rows.stream().mapToInt(row -> row.text().length()).max().orElse(0));
        int bar = Math.max(BAR_COLUMNS_MIN, columns - names - DURATION_COLUMNS - 4);
        Duration start = root.start();
        double nanosPerColumn = Math.max(1, root.lastKnown().minus(start).toNanos()) / (double) bar;
        List<String> lines = new ArrayList<>();
        for (Row row : rows) {
            lines.add("%s %s  %s"
                    .formatted(
                            fit(row.text(), names),
                            " "
                                            .repeat(Math.max(
                                                    0,
                                                    DURATION_COLUMNS
                                                            - duration(row.span())
                                                                    .length()))
                                    + duration(row.span()),
                            bar(row.span(), start, nanosPerColumn, bar))
                    .stripTrailing());
        }
        return lines;
    }

    private record Row(Trace.Span span, String text) {}

    private void collect(Trace.Span span, int depth, List<Row> rows) {
        String hidden = depth == depthMax && !span.children().isEmpty()
                ? " (+%d)".formatted(span.within().size() - 1)
                : "";
        rows.add(new Row(span, "  ".repeat(depth) + clean(span.name()) + hidden));
        if (depth < depthMax) {
            span.children().forEach(child -> collect(child, depth + 1, rows));
        }
    }

    private static String duration(Trace.Span span) {
        if (span.beginLost()) {
            return "?";
        }
        return span.end().map(end -> brief(end.minus(span.start()))).orElse("no end");
    }

    private static String bar(Trace.Span span, Duration start, double nanosPerColumn, int width) {
        StringBuilder bar = new StringBuilder(" ".repeat(width));
        int from = column(span.start(), start, nanosPerColumn, width);
        int to = column(span.lastKnown(), start, nanosPerColumn, width);
        for (int i = from; i <= to; i++) {
            bar.setCharAt(i, span.beginLost() ? '░' : '█');
        }
        if (span.end().isEmpty()) {
            bar.setCharAt(to, '▒');
        }
        for (TraceEntry.Event event : span.events()) {
            bar.setCharAt(column(event.place().sinceEntry(), start, nanosPerColumn, width), '◆');
        }
        return bar.toString();
    }

    private static int column(Duration at, Duration start, double nanosPerColumn, int width) {
        return Math.clamp((long) (at.minus(start).toNanos() / nanosPerColumn), 0, width - 1);
    }

    private static String fit(String text, int columns) {
        return text.length() <= columns
                ? text + " ".repeat(columns - text.length())
                : text.substring(0, columns - 1) + "…";
    }

    /** A guest's text must not steer the terminal. */
    static String clean(String text) {
        return text.codePoints()
                .map(c -> Character.isISOControl(c) ? '\uFFFD' : c)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
    }

    /** A time in the unit that suits it. */
    static String brief(Duration time) {
        long nanos = time.toNanos();
        if (nanos < 1_000) {
            return nanos + " ns";
        }
        if (nanos < 1_000_000) {
            return String.format(Locale.ROOT, "%.1f µs", nanos / 1e3);
        }
        return nanos < 1_000_000_000
                ? String.format(Locale.ROOT, "%.2f ms", nanos / 1e6)
                : String.format(Locale.ROOT, "%.3f s", nanos / 1e9);
    }
}
