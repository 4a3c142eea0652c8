package dev.metacircular.ukernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Makes names and source lines of the addresses in the kernel's report of a crash: a first line that says what happened, lines of
 * registers and memory, and the frames, {@code at} the instruction and {@code by} the return addresses.
 */
final class FaultText {
    private static final Pattern FRAME = Pattern.compile("\\s*(at|by) (?:0x)?([0-9a-f]{4,16})\\s*");
    private static final Pattern ADDRESS = Pattern.compile("\\bat (?:0x)?([0-9a-f]{4,16})\\b");
    private static final Pattern PREFIX = Pattern.compile("^ukernel: (task [0-9]+ ended: )?");

    private final List<Symbols> symbols;

    /** @param symbols of the programs whose addresses may stand in the text */
    FaultText(List<Symbols> symbols) {
        this.symbols = List.copyOf(symbols);
    }

    /** The whole report, with what is known of the first line's and the frames' addresses behind them. */
    String explain(String text) {
        List<String> lines = new ArrayList<>();
        for (String line : text.lines().toList()) {
            Matcher frame = FRAME.matcher(line);
            if (frame.matches()) {
                String place = place(frame).map(p -> "  " + p).orElse("");
                lines.add(line + place);
            } else {
                lines.add(lines.isEmpty() ? explainHeadline(line) : line);
            }
        }
        return String.join("\n", lines);
    }

    /** What happened and the frames, without registers and memory, and equal frames but once. */
    String brief(String text) {
        List<String> lines = new ArrayList<>();
        String previous = "";
        int repeated = 0;
        for (String line : text.lines().toList()) {
            Matcher frame = FRAME.matcher(line);
            if (lines.isEmpty()) {
                lines.add(PREFIX.matcher(explainHeadline(line)).replaceFirst(""));
            } else if (frame.matches()) {
                String shown = "  %s %s".formatted(frame.group(1), place(frame).orElse(frame.group(2)));
                if (shown.equals(previous)) {
                    repeated++;
                    continue;
                }
                addRepeated(lines, repeated);
                repeated = 0;
                lines.add(shown);
                previous = shown;
            }
        }
        addRepeated(lines, repeated);
        return String.join("\n", lines);
    }

    private static void addRepeated(List<String> lines, int repeated) {
        if (repeated > 0) {
            lines.add("  (the same %d times more)".formatted(repeated));
        }
    }

    private String explainHeadline(String line) {
        Matcher matcher = ADDRESS.matcher(line);
        StringBuilder explained = new StringBuilder();
        while (matcher.find()) {
            String place =
                    describe(address(matcher.group(1))).map(p -> ", in " + p).orElse("");
            matcher.appendReplacement(explained, Matcher.quoteReplacement(matcher.group() + place));
        }
        return matcher.appendTail(explained).toString();
    }

    private Optional<String> place(Matcher frame) {
        // A return address is behind the call that it belongs to.
        long address = address(frame.group(2)) - (frame.group(1).equals("by") ? 1 : 0);
        return describe(address);
    }

    private static long address(String hex) {
        return Long.parseUnsignedLong(hex, 16);
    }

    private Optional<String> describe(long address) {
        return symbols.stream()
                .map(program -> program.describe(address))
                .flatMap(Optional::stream)
                .findFirst();
    }
}
