package dev.metacircular.model;

import java.util.Locale;

/** One way in which desired and observed disagree. */
public enum Drift {
    /** It does not run and should, or runs and should not. */
    STATE,
    /** What runs was made from another image than its reference now means on the node. */
    IMAGE,
    /** Whether its image is still the reference's cannot be told now: the backend did not list its images in time. */
    IMAGE_UNKNOWN,
    /** What runs was not made from the registered document. */
    CONFIG;

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
