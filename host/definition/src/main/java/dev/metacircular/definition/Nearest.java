package dev.metacircular.definition;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/** The known word that a mistyped one most resembles. */
public final class Nearest {
    private static final int MAX_CHARS = 64;

    private Nearest() {}

    /** Empty only if nothing is known; of several equally near the alphabetically first. */
    public static Optional<String> of(String word, Collection<String> known) {
        String bounded = word.length() > MAX_CHARS ? word.substring(0, MAX_CHARS) : word;
        return known.stream()
                .min(Comparator.<String>comparingInt(k -> distance(bounded, k)).thenComparing(k -> k));
    }

    /** Optimal string alignment: insertions, deletions, replacements and swapped neighbours, each counted once. */
    private static int distance(String a, String b) {
        int[][] d = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    d[i][j] = i + j;
                    continue;
                }
                int same = a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1;
                d[i][j] = Math.min(Math.min(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + same);
                if (i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1)) {
                    d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
                }
            }
        }
        return d[a.length()][b.length()];
    }
}
