package dev.metacircular.cli;

import dev.metacircular.contract.v1.TerminalSize;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.function.Consumer;
import org.jline.terminal.Attributes;
import org.jline.terminal.Size;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jspecify.annotations.Nullable;

/** This process's terminal, every key as it is struck, until it is closed; or none. */
final class RawTerminal implements AutoCloseable {
    private final @Nullable Terminal terminal;
    private final @Nullable Attributes before;

    private RawTerminal(@Nullable Terminal terminal, @Nullable Attributes before) {
        this.terminal = terminal;
        this.before = before;
    }

    static RawTerminal none() {
        return new RawTerminal(null, null);
    }

    /** @throws ProblemException if the terminal cannot be had */
    static RawTerminal open() {
        try {
            Terminal terminal =
                    TerminalBuilder.builder().system(true).nativeSignals(true).build();
            RawTerminal raw = new RawTerminal(terminal, terminal.enterRawMode());
            Runtime.getRuntime().addShutdownHook(new Thread(raw::close, "terminal"));
            return raw;
        } catch (IOException | IllegalStateException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.FAILED, "the terminal cannot be used: " + e.getMessage())
                            .next("repeat with --no-terminal"),
                    e);
        }
    }

    Optional<TerminalSize> size() {
        return Optional.ofNullable(terminal).map(t -> message(t.getSize()));
    }

    Optional<InputStream> input() {
        return Optional.ofNullable(terminal).map(Terminal::input);
    }

    void onResize(Consumer<TerminalSize> action) {
        Terminal t = terminal;
        if (t != null) {
            t.handle(Terminal.Signal.WINCH, s -> action.accept(message(t.getSize())));
        }
    }

    private static TerminalSize message(Size size) {
        return TerminalSize.newBuilder()
                .setColumns(size.getColumns())
                .setRows(size.getRows())
                .build();
    }

    /** As it was before. */
    @Override
    public synchronized void close() {
        if (terminal != null && before != null) {
            terminal.setAttributes(before);
        }
    }
}
