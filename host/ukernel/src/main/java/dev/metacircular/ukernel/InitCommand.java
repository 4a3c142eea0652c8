package dev.metacircular.ukernel;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Makes a project. */
@Command(name = "init", description = "Makes a project that builds and runs as it stands.")
final class InitCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description =
                    "The project's name, for which a folder is made; without it the current folder, if it is empty.")
    private @Nullable String name;

    @Option(names = "--lang", paramLabel = "LANG", required = true, description = "c or zig.")
    private String language = "";

    @Option(
            names = "--template",
            paramLabel = "TEMPLATE",
            defaultValue = "hello",
            description = "hello (the default), or worker: a pipeline over TCP with tasks on all virtual CPUs.")
    private String template = Template.HELLO.toString();

    InitCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() throws IOException {
        Language chosen = Language.named(language)
                .filter(Language::isBuilt)
                .orElseThrow(() -> Problem.of(
                                Problem.Kind.INVALID, "there is no template for the language '" + language + "'")
                        .next("--lang c, or --lang zig")
                        .exception());
        Template made = Template.named(template)
                .filter(known -> !known.files(chosen).isEmpty())
                .orElseThrow(
                        () -> Problem.of(Problem.Kind.INVALID, "there is no template '" + template + "' for " + chosen)
                                .next("--template " + Template.namesFor(chosen))
                                .exception());
        Path folder = name == null ? cli.folder() : cli.path(name);
        Path last = folder.getFileName();
        String projectName = name != null ? name : last == null ? "" : last.toString();
        if (!Name.isValid(projectName)) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            "'" + projectName + "' is no name for a project: expected " + Name.EXPECTED)
                    .next("ukernel init --name hello --lang " + chosen)
                    .exception();
        }
        requireEmpty(folder);
        for (Template.Source file : made.files(chosen)) {
            Path target = folder.resolve(file.path());
            Files.createDirectories(Optional.ofNullable(target.getParent()).orElse(folder));
            Files.writeString(target, file.text(projectName));
        }
        Report report = cli.report(options.json);
        report.line("made the project '%s' in %s".formatted(projectName, folder));
        report.line("next: " + (name == null ? "" : "cd " + name + " && ") + "ukernel run");
        report.value(Report.object().put("project", projectName).put("folder", folder.toString()));
        return 0;
    }

    private void requireEmpty(Path folder) throws IOException {
        if (Files.isRegularFile(folder)) {
            throw notEmpty(folder, "is a file");
        }
        if (Files.isDirectory(folder)) {
            try (Stream<Path> files = Files.list(folder)) {
                if (files.findAny().isPresent()) {
                    throw notEmpty(folder, "is not empty");
                }
            }
        }
    }

    private static RuntimeException notEmpty(Path folder, String what) {
        return Problem.of(Problem.Kind.CONFLICT, "the folder " + what)
                .at(folder.toString())
                .next("choose another --name, or an empty folder")
                .exception();
    }
}
