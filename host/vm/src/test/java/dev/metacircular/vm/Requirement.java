package dev.metacircular.vm;

import org.junit.jupiter.api.Assumptions;

/** What a test class needs of the machine. Without it the class is not run, and says so. */
final class Requirement {
    private Requirement() {}

    static void of(boolean met, Class<?> tests, String otherwise) {
        if (!met) {
            System.out.println("NOT RUN: " + tests.getSimpleName() + ": " + otherwise);
        }
        Assumptions.assumeTrue(met, "NOT RUN: " + otherwise);
    }
}
