package dev.metacircular.cli;

import dev.metacircular.cli.transport.Warmup;

/** The program {@code mcp}. */
public final class Main {
    private Main() {}

    /** Ends the process with the exit status of {@link dev.metacircular.contract.ExitStatus}. */
    public static void main(String[] arguments) {
        int status;
        if (arguments.length == 1 && (arguments[0].equals("--version") || arguments[0].equals("-V"))) {
            System.out.println("mcp " + Version.TEXT);
            status = 0;
        } else {
            Warmup.start();
            status = Cli.run(arguments, Session.ofProcess());
        }
        System.out.flush();
        System.err.flush();
        Runtime.getRuntime().halt(status);
    }
}
