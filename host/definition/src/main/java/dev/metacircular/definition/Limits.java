package dev.metacircular.definition;

/** Every bound on what is read. */
final class Limits {
    static final int FILE_BYTES = 1 << 20;
    /** The parser's time grows with the lines that have faults; this keeps the worst file at seconds. */
    static final int FILE_LINES = 20_000;
    /** Room for the canonical form of whatever a file of {@link #FILE_BYTES} can hold. */
    static final int DOCUMENT_BYTES = 2 << 20;

    static final int NESTING = 16;
    static final int FAULTS = 100;
    static final int COMPONENTS = 100;
    static final int LIST_ITEMS = 1_000;
    static final int BUILD_IMAGES = 100;
    static final int NODES = 1_000;
    static final int REGISTRIES = 100;

    /** Linux's MAX_ARG_STRLEN, less the final NUL: no argument and no environment variable may be longer. */
    static final int STRING_BYTES = (128 << 10) - 1;

    static final int PATH_CHARS = 1_024;
    static final int MEMORY_MIN_MB = 4;
    static final int MEMORY_MAX_MB = 1 << 20;
    static final double CPUS_MIN = 0.01;
    static final double CPUS_MAX = 1_024;
    static final int VCPUS_MAX = 32;
    static final int HOLD_MAX_S = 3_600;
    static final int TIMEOUT_MAX_S = 3_600;
    static final int ALERT_COOLDOWN_MAX_S = 86_400;
    static final int FILES_MAX_MB = 1 << 20;
    static final int PARALLEL_MAX = 64;
    /** Of the text quoted in a fault. */
    static final int QUOTED_CHARS = 80;

    private Limits() {}
}
