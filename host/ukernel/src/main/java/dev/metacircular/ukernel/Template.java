package dev.metacircular.ukernel;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What {@code ukernel init} makes a project of. The files of {@link #WORKER} are those of {@code examples/worker} and {@code examples/worker-zig}, which the build puts beside this
 * class: a project as it stands, but for its name.
 */
enum Template {
    HELLO,
    WORKER;

    private static final List<String> WORKER_IN_C = List.of(
            "worker/ukernel.toml",
            "worker/README.md",
            "worker/src/main.c",
            "worker/src/front.h",
            "worker/src/front.c",
            "worker/src/connection.h",
            "worker/src/connection.c",
            "worker/src/work.h",
            "worker/src/work.c",
            "worker/src/limits.h");

    private static final List<String> WORKER_IN_ZIG = List.of(
            "worker-zig/ukernel.toml",
            "worker/README.md",
            "worker-zig/src/main.zig",
            "worker-zig/src/front.zig",
            "worker-zig/src/connection.zig",
            "worker-zig/src/work.zig",
            "worker-zig/src/limits.zig");

    private List<String> resources(Language language) {
        return switch (this) {
            case HELLO ->
                switch (language) {
                    case C, ZIG -> List.of("hello/ukernel.toml", "hello/%s/src/main.%s".formatted(language, language));
                    case PYTHON, GO, TYPESCRIPT, JAVA, RUST, OCI -> List.of();
                };
            case WORKER ->
                switch (language) {
                    case C -> WORKER_IN_C;
                    case ZIG -> WORKER_IN_ZIG;
                    case PYTHON, GO, TYPESCRIPT, JAVA, RUST, OCI -> List.of();
                };
        };
    }

    /**
     * A file of the project.
     *
     * @param path below the project's folder
     */
    record Source(String path, String template, Language language) {
        /** What stands in it in a project of that name. */
        String text(String projectName) {
            return path.equals(Project.FILE)
                    ? template.replaceFirst("(?m)^(name *= ).*$", "$1\"" + projectName + "\"")
                            .replace("@LANGUAGE@", language.toString())
                    : template;
        }
    }

    static Optional<Template> named(String name) {
        return Stream.of(values())
                .filter(template -> template.toString().equals(name))
                .findFirst();
    }

    static String namesFor(Language language) {
        return Stream.of(values())
                .filter(template -> !template.resources(language).isEmpty())
                .map(Template::toString)
                .collect(Collectors.joining(", or --template "));
    }

    /** The project's files; none where there is no such template for the language. */
    List<Source> files(Language language) {
        List<String> names = resources(language);
        return names.isEmpty()
                ? List.of()
                : Stream.concat(Stream.of("gitignore"), names.stream())
                        .map(name -> new Source(path(name, language), read(name), language))
                        .toList();
    }

    private static String path(String resource, Language language) {
        return resource.equals("gitignore")
                ? ".gitignore"
                : resource.substring(resource.indexOf('/') + 1).replaceFirst("^" + language + "/", "");
    }

    private static String read(String resource) {
        try (InputStream in = Template.class.getResourceAsStream("templates/" + resource)) {
            if (in == null) {
                throw new IllegalStateException("the template's file " + resource + " is missing from the build");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException("the template's file " + resource + " cannot be read", e);
        }
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
