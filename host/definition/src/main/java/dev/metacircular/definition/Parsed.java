package dev.metacircular.definition;

import dev.metacircular.model.Problem;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;

/** A text as what it means, or everything that is wrong with it. */
public sealed interface Parsed<T> {
    /** The text is free of faults. */
    record Valid<T>(T value) implements Parsed<T> {}

    /** @param faults at least one, at most {@link Limits#FAULTS}, sorted by position */
    record Faulty<T>(List<Fault> faults) implements Parsed<T> {
        public Faulty {
            faults = faults.stream().sorted().limit(Limits.FAULTS).toList();
            if (faults.isEmpty()) {
                throw new IllegalArgumentException("a faulty text has a fault");
            }
        }

        /** All faults as one problem of the kind {@code INVALID}, one line a fault. */
        public Problem problem() {
            return Problem.of(
                    Problem.Kind.INVALID, faults.stream().map(Fault::toString).collect(Collectors.joining("\n")));
        }
    }

    /** Empty if the text is valid. */
    default List<Fault> faults() {
        return switch (this) {
            case Valid<T> _ -> List.of();
            case Faulty<T> faulty -> faulty.faults();
        };
    }

    /** @throws dev.metacircular.model.ProblemException with all faults, if there are any */
    default T orThrow() {
        return switch (this) {
            case Valid<T> valid -> valid.value();
            case Faulty<T> faulty -> throw faulty.problem().exception();
        };
    }

    default <R> Parsed<R> map(Function<? super T, ? extends R> mapper) {
        return switch (this) {
            case Valid<T> valid -> new Valid<>(mapper.apply(valid.value()));
            case Faulty<T> faulty -> new Faulty<>(faulty.faults());
        };
    }
}
