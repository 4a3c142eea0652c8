package dev.metacircular.cli;

import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.regex.Pattern;

/** Times as people give them. */
final class Times {
    private static final Pattern DURATION = Pattern.compile("(?:\\d{1,9}d)?(?:\\d{1,9}h)?(?:\\d{1,9}m)?(?:\\d{1,9}s)?");

    private Times() {}

    /** A time, or how long before now. */
    static Instant parse(String text, Instant now, String option) {
        try {
            if (!text.isEmpty() && DURATION.matcher(text).matches()) {
                int day = text.indexOf('d');
                String days = day < 0 ? "" : text.substring(0, day + 1);
                String rest = text.substring(days.length());
                return now.minus(Duration.parse("P" + days + (rest.isEmpty() ? "" : "T" + rest)));
            }
            return Instant.parse(text);
        } catch (DateTimeException e) {
            throw new ProblemException(
                    new Problem(
                            Problem.Kind.INVALID,
                            "'" + text + "' is not a time: expected one such as 90s, 10m, 2h, 1d12h or"
                                    + " 2026-01-31T12:00:00Z",
                            option,
                            ""),
                    e);
        }
    }
}
