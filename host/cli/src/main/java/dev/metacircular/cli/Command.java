package dev.metacircular.cli;

import picocli.CommandLine.Model.CommandSpec;

/** One command: its model, from which help, completion and manual are made, and what it does. */
interface Command {
    /** A fresh model, without the options that every command has. */
    CommandSpec spec();

    /** Whether the first positional argument takes several values, for each of which the command is run. */
    default boolean takesSeveral() {
        return false;
    }

    /**
     * @return the exit status
     * @throws dev.metacircular.model.ProblemException to be reported, with its exit status
     */
    int run(Arguments arguments, Session session);
}
