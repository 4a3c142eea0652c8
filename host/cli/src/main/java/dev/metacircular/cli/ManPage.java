package dev.metacircular.cli;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** A manual page, in the man macros of roff (man(7)), made from a command's model. */
final class ManPage {
    private final StringBuilder page = new StringBuilder();
    private final CommandSpec spec;

    private ManPage(CommandSpec spec) {
        this.spec = spec;
    }

    static String of(CommandSpec spec) {
        return new ManPage(spec).write();
    }

    private String write() {
        String title = spec.qualifiedName("-");
        String description = String.join(" ", spec.usageMessage().description());
        line(".TH " + title.toUpperCase(Locale.ROOT) + " 1 \"\" \"mcp " + Version.TEXT + "\" \"Metacircular\"");
        line(".SH NAME");
        line(escaped(title) + " \\- " + escaped(description));
        line(".SH SYNOPSIS");
        line(".B " + escaped(spec.qualifiedName()));
        line(escaped(synopsis()));
        line(".SH DESCRIPTION");
        line(escaped(description));
        arguments();
        options();
        commands();
        line(".SH \"EXIT STATUS\"");
        line("0 done, 1 failed, 2 wrong usage or a faulty definition, 3 a node could not be reached, 4 not permitted.");
        if (spec.name().equals("deploy")) {
            line("With \\fB\\-\\-dry\\-run \\-\\-check\\fR, 5 if something would change.");
        }
        return page.toString();
    }

    private String synopsis() {
        String positionals = spec.positionalParameters().stream()
                .map(p -> p.arity().min() == 0 ? "[" + p.paramLabel() + "]" : p.paramLabel())
                .collect(Collectors.joining(" "));
        String command = spec.subcommands().isEmpty() ? "" : " COMMAND";
        return "[OPTION]..." + (positionals.isEmpty() ? "" : " " + positionals) + command;
    }

    private void arguments() {
        List<PositionalParamSpec> positionals = spec.positionalParameters();
        if (!positionals.isEmpty()) {
            line(".SH ARGUMENTS");
            positionals.forEach(
                    p -> item("\\fI" + escaped(p.paramLabel()) + "\\fR", String.join(" ", p.description())));
        }
    }

    private void options() {
        line(".SH OPTIONS");
        for (OptionSpec option : spec.options()) {
            String names = List.of(option.names()).stream()
                    .map(n -> "\\fB" + escaped(n) + "\\fR")
                    .collect(Collectors.joining(", "));
            String label = option.arity().max() == 0 ? "" : " \\fI" + escaped(option.paramLabel()) + "\\fR";
            item(names + label, String.join(" ", option.description()));
        }
    }

    private void commands() {
        if (spec.subcommands().isEmpty()) {
            return;
        }
        line(".SH COMMANDS");
        for (CommandLine sub : spec.subcommands().values()) {
            CommandSpec s = sub.getCommandSpec();
            item(
                    "\\fB" + escaped(s.qualifiedName("-")) + "\\fR(1)",
                    String.join(" ", s.usageMessage().description()));
        }
    }

    private void item(String term, String text) {
        line(".TP");
        line(term);
        line(escaped(text));
    }

    private void line(String text) {
        page.append(text).append('\n');
    }

    private static String escaped(String text) {
        String safe = text.replace("\\", "\\e").replace("-", "\\-");
        return safe.startsWith(".") || safe.startsWith("'") ? "\\&" + safe : safe;
    }
}
