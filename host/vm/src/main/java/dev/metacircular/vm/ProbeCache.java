package dev.metacircular.vm;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;

/**
 * Keeps what was found out by a try, for this boot of the host, this user and this program.
 *
 * @param folder where; made when needed
 * @param name of the file
 */
record ProbeCache(Path folder, String name) {
    /** What a try showed, and why. */
    record Answer(boolean usable, String reason) {}

    /** Asks a question; tries at most once for each version of the program. */
    Answer ask(Path program, Try attempt) throws InterruptedException {
        String key = key(program);
        Optional<Answer> remembered = remembered(key);
        if (remembered.isPresent()) {
            return remembered.get();
        }
        Answer answer = attempt.answer();
        remember(key, answer);
        return answer;
    }

    /** Finds an answer out. */
    @FunctionalInterface
    interface Try {
        Answer answer() throws InterruptedException;
    }

    private static String key(Path program) {
        try {
            return ProcessIdentity.bootId() + " " + program.toRealPath() + " " + Files.size(program) + " "
                    + Files.getLastModifiedTime(program).toMillis() + " " + System.getProperty("user.name");
        } catch (IOException e) {
            throw StateDirectory.cannot("look at", program, e);
        }
    }

    private Optional<Answer> remembered(String key) {
        try {
            List<String> lines = Files.readAllLines(folder.resolve(name));
            return lines.size() == 3 && lines.get(0).equals(key)
                    ? Optional.of(new Answer(lines.get(1).equals("usable"), lines.get(2)))
                    : Optional.empty();
        } catch (IOException notThere) {
            return Optional.empty();
        }
    }

    private void remember(String key, Answer answer) {
        try {
            Files.createDirectories(folder);
            Path fresh = Files.createTempFile(folder, name, ".new");
            Files.writeString(
                    fresh, key + "\n" + (answer.usable() ? "usable" : "unusable") + "\n" + answer.reason() + "\n");
            Files.move(fresh, folder.resolve(name), StandardCopyOption.REPLACE_EXISTING);
        } catch (AccessDeniedException cannotRemember) {
            // The next start tries again: slower, not wrong.
        } catch (IOException e) {
            throw StateDirectory.cannot("remember the " + name + " in", folder, e);
        }
    }
}
