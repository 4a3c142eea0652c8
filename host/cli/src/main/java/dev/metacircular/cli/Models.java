package dev.metacircular.cli;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** Builds command models without reflection, which would cost more at start-up than most commands. */
final class Models {
    private Models() {}

    static CommandSpec command(String name, String... description) {
        CommandSpec spec = CommandSpec.create().name(name);
        spec.usageMessage().description(description);
        return spec;
    }

    static OptionSpec flag(String name, String description) {
        return OptionSpec.builder(name)
                .type(boolean.class)
                .description(description)
                .build();
    }

    static OptionSpec value(String name, String label, String description) {
        return OptionSpec.builder(name)
                .type(String.class)
                .paramLabel(label)
                .description(description)
                .build();
    }

    static OptionSpec requiredValue(String name, String label, String description) {
        return OptionSpec.builder(name)
                .type(String.class)
                .paramLabel(label)
                .required(true)
                .description(description)
                .build();
    }

    static PositionalParamSpec required(int index, String label, String description) {
        return positional(index, label, "1", description);
    }

    /** One or more, to be read with {@link Arguments#all}. */
    static PositionalParamSpec several(int index, String label, String description) {
        return PositionalParamSpec.builder()
                .index(index + "..*")
                .arity("1..*")
                .required(true)
                .type(java.util.List.class)
                .auxiliaryTypes(String.class)
                .paramLabel(label)
                .description(description)
                .build();
    }

    static PositionalParamSpec optional(int index, String label, String description) {
        return positional(index, label, "0..1", description);
    }

    private static PositionalParamSpec positional(int index, String label, String arity, String description) {
        return PositionalParamSpec.builder()
                .index(Integer.toString(index))
                .arity(arity)
                .required(!arity.startsWith("0"))
                .type(String.class)
                .paramLabel(label)
                .description(description)
                .build();
    }
}
