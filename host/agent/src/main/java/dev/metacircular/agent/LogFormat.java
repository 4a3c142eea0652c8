package dev.metacircular.agent;

import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.logging.Formatter;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.StreamHandler;
import org.jspecify.annotations.Nullable;

/** The agent's own log: one line a record on standard output, a stack trace only for what is a fault of the program. */
final class LogFormat extends Formatter {
    private static final Logger OURS = Logger.getLogger("dev.metacircular");

    static void install() {
        LogManager.getLogManager().reset();
        StreamHandler handler = new StreamHandler(System.out, new LogFormat()) {
            @Override
            public synchronized void publish(@Nullable LogRecord record) {
                super.publish(record);
                flush();
            }
        };
        handler.setLevel(Level.ALL);
        Logger root = Logger.getLogger("");
        root.setLevel(Level.WARNING);
        root.addHandler(handler);
        OURS.setLevel(Level.INFO);
    }

    @Override
    public String format(LogRecord record) {
        StringBuilder line = new StringBuilder()
                .append(record.getInstant().truncatedTo(ChronoUnit.MILLIS))
                .append(' ')
                .append(record.getLevel().getName().toLowerCase(Locale.ROOT))
                .append(' ')
                .append(formatMessage(record).replace('\n', ' '));
        Throwable thrown = record.getThrown();
        if (thrown != null) {
            line.append(": ").append(thrown.toString().replace('\n', ' '));
            if (record.getLevel().intValue() >= Level.SEVERE.intValue()) {
                for (StackTraceElement element : thrown.getStackTrace()) {
                    line.append("\n    at ").append(element);
                }
            }
        }
        return line.append('\n').toString();
    }
}
