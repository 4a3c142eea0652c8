package dev.metacircular.cli;

import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.model.Target;
import java.time.Instant;
import java.util.List;

/** Writes log lines, each with the name of whose it is where there are several. */
final class LogPrinter {
    private static final String RESET = "\u001b[0m";
    /** Foreground colours 1 to 6 and their bright forms; neither black nor white. */
    private static final List<String> COLOURS = List.of("36", "33", "32", "35", "34", "96", "93", "92", "95", "94");

    private final Session session;
    private final boolean severalServices;
    private final boolean severalComponents;

    LogPrinter(Session session, List<Target> targets) {
        this.session = session;
        this.severalServices = targets.stream().map(Target::service).distinct().count() > 1;
        this.severalComponents =
                targets.size() > 1 || targets.getFirst().component().isEmpty();
    }

    void print(LogStreams.Line line) {
        LogLine l = line.line();
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "time",
                            Instant.ofEpochMilli(l.getTimeMs()).toString(),
                            "node",
                            line.node().value(),
                            "service",
                            line.service().value(),
                            "component",
                            l.getComponent(),
                            "stream",
                            l.getStream(),
                            "text",
                            l.getText())));
            return;
        }
        String text = session.streams().outIsTerminal() ? Text.printable(l.getText()) : l.getText();
        session.out().println(lead(line) + text);
    }

    private String lead(LogStreams.Line line) {
        if (!severalComponents) {
            return "";
        }
        String component = Text.printable(line.line().getComponent());
        String name = severalServices ? line.service() + "/" + component : component;
        if (!session.colours()) {
            return name + " | ";
        }
        int colour = Math.floorMod(name.hashCode(), COLOURS.size());
        return "\u001b[" + COLOURS.get(colour) + "m" + name + " |" + RESET + " ";
    }

    void flush() {
        session.out().flush();
    }
}
