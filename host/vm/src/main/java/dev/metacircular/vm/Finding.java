package dev.metacircular.vm;

import java.util.Optional;

/**
 * One thing that a driver needs or can use of this machine, for {@code ukernel doctor}.
 *
 * @param subject what, in a few words
 * @param status whether it is there
 * @param detail what was found
 * @param remedy what to do, where something is to be done
 */
public record Finding(String subject, Status status, String detail, Optional<String> remedy) {
    /** Whether what a driver needs is there. */
    public enum Status {
        PRESENT,
        /** Not there, and the driver works without it. */
        LACKING,
        /** Not there, and the driver cannot work. */
        BLOCKING
    }
}
