package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.definition.Fault;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/**
 * {@code mcp service edit}: has an editor work on a copy of the definition, and puts the copy in its place only if it has no fault and
 * the file is as it was. Whatever happens, what was written is not lost: the copy is kept and named.
 */
final class ServiceEditCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "edit", "Opens a definition in VISUAL or EDITOR, and replaces the file only by one without faults.");
        spec.addPositional(Models.required(0, "SERVICE", "The service."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Name name = arguments.requiredName(0);
        ServiceDefinitions definitions = session.definitions();
        Path file = definitions.file(name);
        String before = definitions.text(name).orThrow();
        Path copy = copyOf(file, before);
        boolean changed;
        try {
            changed = edit(session, definitions, name, before, copy);
        } catch (ProblemException e) {
            throw kept(e.problem(), file, before, copy);
        }
        delete(copy);
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result", "ok", "service", name.value(), "file", file.toString(), "changed", changed)));
        } else if (changed) {
            session.out().println("wrote " + file);
            session.err().println("next: mcp deploy " + name);
        } else {
            session.out().println("nothing was changed in " + file);
        }
        return ExitStatus.DONE;
    }

    private static boolean edit(Session session, ServiceDefinitions definitions, Name name, String before, Path copy) {
        BufferedReader answers = new BufferedReader(new InputStreamReader(session.in(), StandardCharsets.UTF_8));
        while (true) {
            open(session, copy);
            String text = read(copy);
            if (text.equals(before)) {
                return false;
            }
            List<Fault> faults = definitions.check(name, text).faults();
            if (faults.isEmpty()) {
                definitions.replace(name, before, text);
                return true;
            }
            faults.forEach(f -> session.err().println("error: " + Text.printable(f.toString())));
            if (!goOn(session, answers)) {
                throw Problem.of(Problem.Kind.INVALID, "the definition has faults, so it was not replaced")
                        .exception();
            }
        }
    }

    private static boolean goOn(Session session, BufferedReader answers) {
        session.err().print("go on editing? [Y/n] ");
        session.err().flush();
        try {
            String answer = answers.readLine();
            return answer != null && !answer.strip().toLowerCase(Locale.ROOT).startsWith("n");
        } catch (IOException e) {
            return false;
        }
    }

    /** As a shell has it, for the variable may hold arguments too. */
    private static void open(Session session, Path copy) {
        String editor = variable(session, "VISUAL")
                .or(() -> variable(session, "EDITOR"))
                .orElse("vi");
        try {
            ProcessBuilder builder = new ProcessBuilder("sh", "-c", editor + " \"$1\"", "sh", copy.toString());
            int status = builder.inheritIO().start().waitFor();
            if (status != 0) {
                throw Problem.of(Problem.Kind.FAILED, "the editor '" + editor + "' ended with status " + status)
                        .next("set VISUAL or EDITOR to another")
                        .exception();
            }
        } catch (IOException e) {
            throw failed("the editor '" + editor + "' cannot be started", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Problem.of(Problem.Kind.FAILED, "interrupted").exception();
        }
    }

    private static Optional<String> variable(Session session, String name) {
        return Optional.ofNullable(session.environment().get(name)).filter(v -> !v.isBlank());
    }

    /** Beside the file, hidden from every command, with an ending by which editors know TOML. */
    private static Path copyOf(Path file, String text) {
        try {
            Path folder = file.toAbsolutePath().getParent();
            Path copy = Files.createTempFile(folder, "." + file.getFileName() + ".edit-", ".toml");
            Files.writeString(copy, text);
            return copy;
        } catch (IOException e) {
            throw failed("a copy to edit cannot be written beside " + file, e);
        }
    }

    private static String read(Path copy) {
        try {
            return Files.readString(copy);
        } catch (CharacterCodingException e) {
            throw Problem.of(Problem.Kind.INVALID, "what the editor wrote is not text in UTF-8")
                    .exception();
        } catch (IOException e) {
            throw failed("what the editor wrote cannot be read", e);
        }
    }

    private static ProblemException failed(String what, IOException cause) {
        return new ProblemException(new Problem(Problem.Kind.FAILED, what + ": " + cause.getMessage(), "", ""), cause);
    }

    private static void delete(Path copy) {
        try {
            Files.deleteIfExists(copy);
        } catch (IOException _) {
            // It is hidden, and nothing is lost.
        }
    }

    private static ProblemException kept(Problem problem, Path file, String before, Path copy) {
        boolean written;
        try {
            written = Files.exists(copy) && !Files.readString(copy).equals(before);
        } catch (IOException e) {
            written = true;
        }
        if (!written) {
            delete(copy);
            return problem.at(file.toString()).exception();
        }
        String next = problem.next().isEmpty() ? "" : problem.next() + "; ";
        return problem.at(file.toString())
                .next(next + "what you wrote is kept in " + copy)
                .exception();
    }
}
