package dev.metacircular.cli;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Target;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.ParseResult;

/** What was given on the command line. */
record Arguments(ParseResult parsed, Optional<String> target) {
    Arguments(ParseResult parsed) {
        this(parsed, Optional.empty());
    }

    /** For one of several targets: it is the first positional argument. */
    Arguments on(String one) {
        return new Arguments(parsed, Optional.of(one));
    }

    boolean flag(String option) {
        return parsed.hasMatchedOption(option);
    }

    Optional<String> text(String option) {
        return Optional.ofNullable(parsed.matchedOptionValue(option, null));
    }

    Optional<Path> path(String option) {
        return text(option).map(Path::of);
    }

    Optional<Name> name(String option) {
        return text(option).map(t -> checkedName(t, option));
    }

    Optional<String> positional(int index) {
        return index == 0 && target.isPresent()
                ? target
                : Optional.ofNullable(parsed.matchedPositionalValue(index, null));
    }

    /** A positional argument that the model requires. */
    String required(int index) {
        return positional(index).orElseThrow();
    }

    /** Every value of a positional argument that takes several. */
    List<String> all(int index) {
        return parsed.matchedPositionalValue(index, List.<String>of());
    }

    Name requiredName(int index) {
        return checkedName(required(index), "");
    }

    Optional<Target> target(int index) {
        return positional(index).map(Arguments::checkedTarget);
    }

    Target requiredTarget(int index) {
        return checkedTarget(required(index));
    }

    static Target checkedTarget(String text) {
        try {
            return Target.parse(text);
        } catch (IllegalArgumentException e) {
            throw Problem.of(Problem.Kind.INVALID, String.valueOf(e.getMessage()))
                    .next("give SERVICE or SERVICE/COMPONENT")
                    .exception();
        }
    }

    private static Name checkedName(String text, String where) {
        try {
            return Name.of(text);
        } catch (IllegalArgumentException e) {
            throw Problem.of(Problem.Kind.INVALID, String.valueOf(e.getMessage()))
                    .at(where)
                    .exception();
        }
    }
}
