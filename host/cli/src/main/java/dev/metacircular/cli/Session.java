package dev.metacircular.cli;

import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ClientConfigFile;
import dev.metacircular.definition.ClientDirectory;
import dev.metacircular.definition.ServiceDefinitions;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import java.util.Optional;

/**
 * What a command works with: where it writes, whose environment it is in, which files are the operator's.
 *
 * @param directory the value of {@code --config}, if given
 * @param json whether the output is for programs
 * @param timeoutSeconds the value of {@code --timeout}, if given
 * @param channels connections that are shared by what is done side by side
 */
record Session(
        InputStream in,
        PrintStream out,
        PrintStream err,
        Streams streams,
        Map<String, String> environment,
        Clock clock,
        Optional<Path> directory,
        boolean json,
        Optional<Double> timeoutSeconds,
        Optional<SharedChannels> channels) {

    Session(
            InputStream in,
            PrintStream out,
            PrintStream err,
            Streams streams,
            Map<String, String> environment,
            Clock clock,
            Optional<Path> directory,
            boolean json,
            Optional<Double> timeoutSeconds) {
        this(in, out, err, streams, environment, clock, directory, json, timeoutSeconds, Optional.empty());
    }

    /** Which of the standard streams are terminals. */
    record Streams(boolean inIsTerminal, boolean outIsTerminal, boolean errIsTerminal) {
        static final Streams NONE = new Streams(false, false, false);

        static Streams ofProcess() {
            return new Streams(isTerminal(0), isTerminal(1), isTerminal(2));
        }

        private static boolean isTerminal(int descriptor) {
            try {
                String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor))
                        .toString();
                return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
            } catch (IOException e) {
                return false;
            }
        }
    }

    static Session ofProcess() {
        return new Session(
                System.in,
                new PrintStream(
                        new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 8192),
                        false,
                        StandardCharsets.UTF_8),
                new PrintStream(
                        new BufferedOutputStream(new FileOutputStream(FileDescriptor.err), 1024),
                        true,
                        StandardCharsets.UTF_8),
                Streams.ofProcess(),
                System.getenv(),
                Clock.systemUTC(),
                Optional.empty(),
                false,
                Optional.empty());
    }

    Session with(Optional<Path> chosenDirectory, boolean forPrograms, Optional<Double> timeout) {
        return new Session(
                in,
                out,
                err,
                streams,
                environment,
                clock,
                chosenDirectory.or(() -> directory),
                forPrograms,
                timeout,
                channels);
    }

    Session sharing(SharedChannels shared) {
        return new Session(
                in, out, err, streams, environment, clock, directory, json, timeoutSeconds, Optional.of(shared));
    }

    /** One that writes elsewhere, and not to a terminal. */
    Session printing(PrintStream toOut, PrintStream toErr) {
        return new Session(
                in, toOut, toErr, Streams.NONE, environment, clock, directory, json, timeoutSeconds, channels);
    }

    /** The CLI's directory; it need not exist. */
    Path home() {
        return ClientDirectory.find(directory, environment);
    }

    ClientConfigFile configFile() {
        return new ClientConfigFile(home(), environment);
    }

    /** @throws dev.metacircular.model.ProblemException if the file has faults */
    ClientConfig config() {
        return configFile().read().orThrow();
    }

    ServiceDefinitions definitions() {
        return new ServiceDefinitions(home());
    }

    /** Whether output for people may be coloured (https://no-color.org). */
    boolean colours() {
        return streams.outIsTerminal()
                && environment.getOrDefault("NO_COLOR", "").isEmpty()
                && !isDumb();
    }

    private boolean isDumb() {
        return environment.getOrDefault("TERM", "").equals("dumb");
    }
}
