package dev.metacircular.definition;

import dev.metacircular.model.Problem;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A text as what it means, or everything that is wrong with it. Methods rather than switches over the two: a pattern switch is linked at its first use,
 * which a command that only asks a node would feel.
 */
public sealed interface Parsed<T> {
    /** Empty if the text is valid. */
    List<Fault> faults();

    /** @throws dev.metacircular.model.ProblemException with all faults, if there are any */
    T orThrow();

    default <R> Parsed<R> map(Function<? super T, ? extends R> mapper) {
        return flatMap(value -> new Valid<>(mapper.apply(value)));
    }

    <R> Parsed<R> flatMap(Function<? super T, Parsed<R>> mapper);

    /** The text is free of faults. */
    record Valid<T>(T value) implements Parsed<T> {
        @Override
        public List<Fault> faults() {
            return List.of();
        }

        @Override
        public T orThrow() {
            return value;
        }

        @Override
        public <R> Parsed<R> flatMap(Function<? super T, Parsed<R>> mapper) {
            return mapper.apply(value);
        }
    }

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

        @Override
        public T orThrow() {
            throw problem().exception();
        }

        @Override
        public <R> Parsed<R> flatMap(Function<? super T, Parsed<R>> mapper) {
            return new Faulty<>(faults);
        }
    }
}
