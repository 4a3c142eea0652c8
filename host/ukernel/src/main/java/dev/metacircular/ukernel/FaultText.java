package dev.metacircular.ukernel;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Makes names and source lines of the addresses in what a guest prints of a crash. */
final class FaultText {
    private static final Pattern ADDRESS = Pattern.compile("\\b0x([0-9a-f]{4,16})\\b");

    private final List<Symbols> symbols;

    /** @param symbols of the programs whose addresses may stand in the text */
    FaultText(List<Symbols> symbols) {
        this.symbols = List.copyOf(symbols);
    }

    /** The text with what is known of an address in brackets behind it. */
    String explain(String text) {
        Matcher matcher = ADDRESS.matcher(text);
        StringBuilder explained = new StringBuilder();
        while (matcher.find()) {
            long address = Long.parseUnsignedLong(matcher.group(1), 16);
            String description =
                    describe(address).map(place -> " (" + place + ")").orElse("");
            matcher.appendReplacement(explained, Matcher.quoteReplacement(matcher.group() + description));
        }
        return matcher.appendTail(explained).toString();
    }

    private Optional<String> describe(long address) {
        return symbols.stream()
                .map(program -> program.describe(address))
                .flatMap(Optional::stream)
                .findFirst();
    }
}
