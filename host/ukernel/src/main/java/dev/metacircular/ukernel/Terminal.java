package dev.metacircular.ukernel;

import java.io.Console;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The terminal that this program writes to, if it does. */
final class Terminal {
    private static final int COLUMNS_OTHERWISE = 100;
    private static final int COLUMNS_MIN = 40;
    private static final int COLUMNS_MAX = 400;
    private static final Pattern SIZE = Pattern.compile("[0-9]+ ([0-9]{1,4})\\s*");

    private Terminal() {}

    /** Its width: by {@code COLUMNS}, or what {@code stty} says; 100 where there is none. */
    static int columns(Map<String, String> environment) {
        String told = environment.getOrDefault("COLUMNS", "");
        if (told.matches("[1-9][0-9]{0,3}")) {
            return Math.clamp(Integer.parseInt(told), COLUMNS_MIN, COLUMNS_MAX);
        }
        if (Optional.ofNullable(System.console()).filter(Console::isTerminal).isEmpty()) {
            return COLUMNS_OTHERWISE;
        }
        try {
            Process stty = new ProcessBuilder("stty", "size")
                    .redirectInput(ProcessBuilder.Redirect.INHERIT)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            if (!stty.waitFor(1, TimeUnit.SECONDS)) {
                stty.destroyForcibly();
                return COLUMNS_OTHERWISE;
            }
            Matcher size = SIZE.matcher(new String(stty.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
            int columns = size.matches() ? Integer.parseInt(size.group(1)) : 0;
            return columns == 0 ? COLUMNS_OTHERWISE : Math.clamp(columns, COLUMNS_MIN, COLUMNS_MAX);
        } catch (IOException e) {
            return COLUMNS_OTHERWISE;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return COLUMNS_OTHERWISE;
        }
    }
}
