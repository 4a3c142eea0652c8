package dev.metacircular.runtime;

import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The few commands that every instance of a {@link FakeRuntime} has: true, false, echo, cat, sh -c "exit N", stty size. */
final class FakeExec {
    private static final Pattern EXIT = Pattern.compile("exit ([0-9]{1,3})");

    private FakeExec() {}

    static Exec.Session run(List<String> command, Optional<Exec.TerminalSize> terminal) {
        if (command.equals(List.of("cat"))) {
            return cat();
        }
        if (command.equals(List.of("stty", "size")) && terminal.isPresent()) {
            return ended(terminal.get().rows() + " " + terminal.get().columns() + "\r\n", 0);
        }
        Matcher exit = EXIT.matcher(command.getLast());
        if (command.size() == 3 && command.subList(0, 2).equals(List.of("sh", "-c")) && exit.matches()) {
            return ended("", Integer.parseInt(exit.group(1)));
        }
        return switch (command.getFirst()) {
            case "true" -> ended("", 0);
            case "false" -> ended("", 1);
            case "echo" -> ended(String.join(" ", command.subList(1, command.size())) + "\n", 0);
            default -> throw new RuntimeFailure(Kind.INVALID, "there is no command '" + command.getFirst() + "'");
        };
    }

    private static Exec.Session ended(String output, int status) {
        return new FakeSession(
                OutputStream.nullOutputStream(),
                new ByteArrayInputStream(output.getBytes(StandardCharsets.UTF_8)),
                status);
    }

    private static Exec.Session cat() {
        try {
            PipedInputStream output = new PipedInputStream(64 * 1024);
            return new FakeSession(new PipedOutputStream(output), output, 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private record FakeSession(OutputStream input, InputStream output, int exitStatus) implements Exec.Session {
        @Override
        public InputStream errors() {
            return InputStream.nullInputStream();
        }

        @Override
        public void resize(Exec.TerminalSize size) {}

        @Override
        public void close() {
            try {
                input.close();
                output.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
