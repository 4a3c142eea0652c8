package dev.metacircular.runtime;

import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Optional;

/** The capability to run a command inside a running instance. */
public interface Exec {
    /**
     * Starts the command; the caller must close what is returned, which ends the exchange but not necessarily the command.
     *
     * @param terminal the size of a terminal to run it on, empty for none
     */
    Session exec(InstanceId instance, List<String> command, Optional<TerminalSize> terminal);

    record TerminalSize(int columns, int rows) {}

    /** A running command. */
    interface Session extends AutoCloseable {
        /** Closing it ends the command's standard input. */
        OutputStream input();

        InputStream output();

        /** Empty of content with a terminal, which merges both. */
        InputStream errors();

        void resize(TerminalSize size);

        /** Waits for its end and returns its exit status. */
        int exitStatus();

        @Override
        void close();
    }
}
