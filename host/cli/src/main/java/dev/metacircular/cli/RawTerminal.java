package dev.metacircular.cli;

import dev.metacircular.contract.v1.TerminalSize;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jline.utils.Signals;

/**
 * This process's terminal, every key as it is struck, until it is closed; or none. By stty(1) on standard input: a terminal
 * library would ask the terminal what it can do, and the answers would be keys to what runs in the component.
 */
final class RawTerminal implements AutoCloseable {
    private static final int STTY_LIMIT_S = 5;

    private final Optional<String> before;

    private RawTerminal(Optional<String> before) {
        this.before = before;
    }

    static RawTerminal none() {
        return new RawTerminal(Optional.empty());
    }

    /** @throws ProblemException if standard input cannot be set */
    static RawTerminal open() {
        RawTerminal terminal = new RawTerminal(Optional.of(stty("-g")));
        Runtime.getRuntime().addShutdownHook(new Thread(terminal::close, "terminal"));
        stty("raw", "-echo");
        return terminal;
    }

    /** What is typed is not shown; a line at a time, as usual. */
    static RawTerminal withoutEcho() {
        RawTerminal terminal = new RawTerminal(Optional.of(stty("-g")));
        Runtime.getRuntime().addShutdownHook(new Thread(terminal::close, "terminal"));
        stty("-echo");
        return terminal;
    }

    Optional<TerminalSize> size() {
        return before.map(_ -> parse(stty("size")));
    }

    void onResize(Consumer<TerminalSize> action) {
        if (before.isPresent()) {
            Signals.register("WINCH", () -> action.accept(parse(stty("size"))));
        }
    }

    /** {@code rows columns}; a terminal that does not know its size has 80 by 24. */
    static TerminalSize parse(String size) {
        String[] numbers =
                size.matches("[1-9][0-9]{0,4} [1-9][0-9]{0,4}") ? size.split(" ") : new String[] {"24", "80"};
        return TerminalSize.newBuilder()
                .setRows(Integer.parseInt(numbers[0]))
                .setColumns(Integer.parseInt(numbers[1]))
                .build();
    }

    private static String stty(String... arguments) {
        List<String> command = new ArrayList<>(List.of("stty"));
        command.addAll(List.of(arguments));
        try {
            Process process = new ProcessBuilder(command)
                    .redirectInput(Redirect.INHERIT)
                    .redirectErrorStream(true)
                    .start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            if (!process.waitFor(STTY_LIMIT_S, TimeUnit.SECONDS) || process.exitValue() != 0) {
                process.destroyForcibly();
                throw new IOException(output);
            }
            return output;
        } catch (IOException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.FAILED, "the terminal cannot be set by stty: " + e.getMessage())
                            .next("repeat with --no-terminal"),
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Problem.of(Problem.Kind.FAILED, "interrupted").exception();
        }
    }

    /** As it was before. */
    @Override
    public void close() {
        before.ifPresent(RawTerminal::stty);
    }
}
