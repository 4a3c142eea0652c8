package dev.metacircular.definition;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.tomlj.TomlArray;
import org.tomlj.TomlPosition;
import org.tomlj.TomlTable;

/**
 * Reads one TOML table key by key, and records each fault at its position. The keys that were asked for are the known
 * ones: {@link #rejectUnknown} comes last.
 */
public final class Table {
    private final TomlTable table;
    private final TomlPosition at;
    private final Faults faults;
    private final Set<String> known = new LinkedHashSet<>();
    private final Set<String> rejected = new LinkedHashSet<>();

    /** A value of the file. */
    public record Placed<T>(T value, TomlPosition at) {}

    Table(TomlTable table, TomlPosition at, Faults faults) {
        this.table = table;
        this.at = at;
        this.faults = faults;
    }

    public TomlPosition at() {
        return at;
    }

    public boolean has(String key) {
        return table.contains(List.of(key));
    }

    public Set<String> keys() {
        return table.keySet();
    }

    /** Where the key stands; where the table stands, if it lacks the key. */
    public TomlPosition at(String key) {
        TomlPosition position = has(key) ? table.inputPositionOf(List.of(key)) : null;
        return position == null ? at : position;
    }

    /** Records a fault where the key stands. */
    public void fault(String key, String what, String expected) {
        faults.add(at(key), what, expected);
    }

    public void fault(TomlPosition where, String what, String expected) {
        faults.add(where, what, expected);
    }

    boolean isEmptyArray(String key) {
        return table.get(List.of(key)) instanceof TomlArray array && array.isEmpty();
    }

    public void missing(String key, String expected) {
        faults.addMissing(at, key, expected);
    }

    /** A key that is known elsewhere and makes no sense here; not to be read. */
    void reject(String key, String what, String expected) {
        if (has(key)) {
            rejected.add(key);
            fault(key, what, expected);
        }
    }

    /** A string; empty if the key is absent, or its value is recorded as a fault. The same holds for the other types. */
    public Optional<String> string(String key) {
        return typed(key, String.class, "a string").flatMap(s -> checked(s, at(key), key));
    }

    /** A string that the parser, which throws IllegalArgumentException, turns into something. */
    public <T> Optional<T> string(String key, String expected, Function<String, Optional<T>> parser) {
        return string(key)
                .flatMap(s ->
                        parsed(new Placed<>(s, at(key)), key, expected, parser).map(Placed::value));
    }

    public <T> Optional<T> requiredString(String key, String expected, Function<String, Optional<T>> parser) {
        if (!has(key)) {
            known.add(key);
            missing(key, expected);
        }
        return string(key, expected, parser);
    }

    public Optional<Boolean> bool(String key) {
        return typed(key, Boolean.class, "true or false");
    }

    public Optional<Integer> integer(String key, int min, int max) {
        String expected = "an integer from " + min + " to " + max;
        Optional<Long> value = typed(key, Long.class, expected);
        if (value.filter(v -> v < min || v > max).isPresent()) {
            fault(key, "'" + key + "' is " + value.get(), expected);
            return Optional.empty();
        }
        return value.map(Math::toIntExact);
    }

    Optional<Double> number(String key, double min, double max) {
        String expected = "a number from " + plain(min) + " to " + plain(max);
        Optional<Double> value = rawNumber(key, expected);
        if (value.filter(v -> !(v >= min && v <= max)).isPresent()) {
            fault(key, "'" + key + "' is " + value.get(), expected);
            return Optional.empty();
        }
        return value;
    }

    /** A number of seconds with at most three decimals. */
    Optional<Duration> seconds(String key, double min, int max) {
        Optional<BigDecimal> value =
                number(key, min, max).map(d -> BigDecimal.valueOf(d).stripTrailingZeros());
        if (value.filter(v -> v.scale() > 3).isPresent()) {
            fault(key, "'" + key + "' is " + value.get().toPlainString(), "seconds with at most three decimals");
            return Optional.empty();
        }
        return value.map(v -> Duration.ofMillis(v.movePointRight(3).longValueExact()));
    }

    /** The strings of an array, each checked for its length; empty if the key is absent. */
    public List<Placed<String>> strings(String key) {
        Optional<TomlArray> array = typed(key, TomlArray.class, "an array of strings");
        if (array.filter(a -> tooLong(key, a.size(), Limits.LIST_ITEMS, "items"))
                .isPresent()) {
            return List.of();
        }
        List<Placed<String>> items = new ArrayList<>();
        array.ifPresent(a -> {
            for (int i = 0; i < a.size(); i++) {
                TomlPosition position = a.inputPositionOf(i);
                if (a.get(i) instanceof String s) {
                    checked(s, position, key).ifPresent(text -> items.add(new Placed<>(text, position)));
                } else {
                    faults.add(position, "'" + key + "' holds " + describe(a.get(i)), "strings only");
                }
            }
        });
        return items;
    }

    /** The strings of an array as the parser, which throws IllegalArgumentException, sees them. */
    public <T> List<Placed<T>> list(String key, String expected, Function<String, Optional<T>> parser) {
        return strings(key).stream()
                .flatMap(item -> parsed(item, key, expected, parser).stream())
                .toList();
    }

    public Optional<Table> table(String key) {
        return typed(key, TomlTable.class, "a table").map(t -> new Table(t, at(key), faults));
    }

    List<Table> tables(String key, int max) {
        Optional<TomlArray> array = typed(key, TomlArray.class, "an array of tables, [[" + key + "]]");
        if (array.filter(a -> tooLong(key, a.size(), max, "tables")).isPresent()) {
            return List.of();
        }
        List<Table> tables = new ArrayList<>();
        array.ifPresent(a -> {
            for (int i = 0; i < a.size(); i++) {
                if (a.get(i) instanceof TomlTable t) {
                    tables.add(new Table(t, a.inputPositionOf(i), faults));
                } else {
                    faults.add(a.inputPositionOf(i), "'" + key + "' holds " + describe(a.get(i)), "tables only");
                }
            }
        });
        return tables;
    }

    boolean tooLong(String key, int size, int max, String what) {
        if (size > max) {
            fault(key, "'" + key + "' has " + size + " " + what, "at most " + max);
        }
        return size > max;
    }

    public void rejectUnknown() {
        for (String key : keys()) {
            if (!known.contains(key) && !rejected.contains(key)) {
                String nearest = Nearest.of(key, known).orElseThrow();
                fault(
                        key,
                        "unknown key " + Faults.quote(key),
                        known.size() == 1
                                ? "'" + nearest + "'"
                                : "'" + nearest + "', the nearest of " + String.join(", ", known));
            }
        }
    }

    private Optional<Double> rawNumber(String key, String expected) {
        if (table.get(List.of(key)) instanceof Long whole) {
            known.add(key);
            return Optional.of(whole.doubleValue());
        }
        return typed(key, Double.class, expected);
    }

    private <T> Optional<T> typed(String key, Class<T> type, String expected) {
        known.add(key);
        Object value = table.get(List.of(key));
        if (value != null && !type.isInstance(value)) {
            fault(key, "'" + key + "' is " + describe(value), expected);
            return Optional.empty();
        }
        return Optional.ofNullable(type.cast(value));
    }

    private Optional<String> checked(String value, TomlPosition position, String key) {
        if (value.indexOf('\0') >= 0) {
            faults.add(position, "'" + key + "' holds a NUL character", "text without one");
            return Optional.empty();
        }
        if (value.length() > Limits.STRING_BYTES || Utf8.length(value) > Limits.STRING_BYTES) {
            faults.add(
                    position,
                    "'" + key + "' holds a string of " + Utf8.length(value) + " bytes",
                    "at most " + Limits.STRING_BYTES);
            return Optional.empty();
        }
        return Optional.of(value);
    }

    private <T> Optional<Placed<T>> parsed(
            Placed<String> item, String key, String expected, Function<String, Optional<T>> parser) {
        Optional<T> value;
        try {
            value = parser.apply(item.value());
        } catch (IllegalArgumentException _) {
            value = Optional.empty();
        }
        if (value.isEmpty()) {
            faults.add(item.at(), "'" + key + "' is " + Faults.quote(item.value()), expected);
        }
        return value.map(v -> new Placed<>(v, item.at()));
    }

    private static String plain(double value) {
        return BigDecimal.valueOf(value).stripTrailingZeros().toPlainString();
    }

    private static String describe(Object value) {
        return switch (value) {
            case String s -> "the string " + Faults.quote(s);
            case Long n -> "the integer " + n;
            case Double d -> "the number " + d;
            case Boolean b -> b.toString();
            case TomlTable _ -> "a table";
            case TomlArray _ -> "an array";
            default -> "the date or time " + value;
        };
    }
}
