package dev.metacircular.definition;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;

/** TOML values as text: basic strings on one line, arrays on one line, plain decimal numbers. */
final class TomlText {
    private TomlText() {}

    static String string(String value) {
        StringBuilder out = new StringBuilder("\"");
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (c < 0x20 || c == 0x7f) {
                        out.append(String.format("\\u%04X", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        return out.append('"').toString();
    }

    static String strings(List<?> values) {
        return values.stream().map(v -> string(v.toString())).collect(Collectors.joining(", ", "[", "]"));
    }

    static String number(double value) {
        return BigDecimal.valueOf(value).toPlainString();
    }

    /** @throws IllegalArgumentException if it is not a whole number of milliseconds */
    static String seconds(Duration value) {
        if (value.toNanosPart() % 1_000_000 != 0) {
            throw new IllegalArgumentException(value + " is finer than a millisecond");
        }
        BigDecimal seconds = BigDecimal.valueOf(value.toMillis(), 3).stripTrailingZeros();
        return seconds.scale() <= 0 ? seconds.toBigInteger().toString() : seconds.toPlainString();
    }
}
