package dev.metacircular.cli;

import java.time.Duration;

/** How values are written for people. */
final class Text {
    private Text() {}

    /** Without control characters, so that what a node or a workload says cannot steer the terminal; tabs stay. */
    static String printable(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (isControl(text.charAt(i))) {
                StringBuilder clean = new StringBuilder(text);
                for (int j = i; j < clean.length(); j++) {
                    if (isControl(clean.charAt(j))) {
                        clean.setCharAt(j, '\uFFFD');
                    }
                }
                return clean.toString();
            }
        }
        return text;
    }

    private static boolean isControl(char c) {
        return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0);
    }

    /** The two largest units, such as {@code 3d 4h}, {@code 12m 5s} or {@code 0s}. */
    static String duration(Duration duration) {
        long seconds = Math.max(0, duration.toSeconds());
        if (seconds < 60) {
            return seconds + "s";
        }
        if (seconds < 3_600) {
            return seconds / 60 + "m " + seconds % 60 + "s";
        }
        if (seconds < 86_400) {
            return seconds / 3_600 + "h " + seconds % 3_600 / 60 + "m";
        }
        return seconds / 86_400 + "d " + seconds % 86_400 / 3_600 + "h";
    }

    /** Powers of 1024 with one decimal, such as {@code 1.5 GiB}. */
    static String bytes(long bytes) {
        if (bytes < 1_024) {
            return bytes + " B";
        }
        String[] units = {"KiB", "MiB", "GiB", "TiB", "PiB"};
        double value = bytes / 1_024.0;
        int unit = 0;
        while (value >= 1_024 && unit < units.length - 1) {
            value /= 1_024;
            unit++;
        }
        return Math.round(value * 10) / 10.0 + " " + units[unit];
    }
}
