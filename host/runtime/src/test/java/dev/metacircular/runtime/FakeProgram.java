package dev.metacircular.runtime;

/** What an instance of a {@link FakeRuntime} does while it runs, on a thread of its own. */
@FunctionalInterface
public interface FakeProgram {
    /**
     * @return the exit status
     * @throws InterruptedException when it is ended by force, which counts as status 137
     */
    int run(FakeProcess process) throws InterruptedException;

    /** Runs until it is asked to end, then exits with 0; nothing answers on its ports. */
    static FakeProgram runs() {
        return process -> {
            process.awaitTermination();
            return 0;
        };
    }

    /** As {@link #runs}, and every port answers, over HTTP with status 200. */
    static FakeProgram serves() {
        return process -> {
            process.answer(200);
            process.awaitTermination();
            return 0;
        };
    }

    /** Writes the line to standard error and exits at once. */
    static FakeProgram exits(int status, String line) {
        return process -> {
            process.err(line);
            return status;
        };
    }
}
