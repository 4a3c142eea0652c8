package dev.metacircular.ukernel;

import dev.metacircular.model.Problem;

/** Checks numbers that a user gave. */
final class Bounds {
    private Bounds() {}

    /** The value, if it is within the bounds, which belong to them. */
    static int check(String command, String option, int value, int min, int max) {
        if (value < min || value > max) {
            throw Problem.of(Problem.Kind.INVALID, option + " is " + value + ": expected " + min + " to " + max)
                    .next("ukernel " + command + " --help")
                    .exception();
        }
        return value;
    }
}
