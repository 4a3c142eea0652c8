package dev.metacircular.vm;

import java.time.Duration;

/** Every bound of this module, in one place. */
final class Limits {
    static final int VCPUS_MAX = 32;
    static final int MEMORY_MEBIBYTES_MIN = 1;
    static final int MEMORY_MEBIBYTES_MAX = 1 << 20;
    static final int DISKS_MAX = 4;
    static final int NETWORKS_MAX = 2;
    static final int PORT_FORWARDS_MAX = 64;
    static final int COMMAND_LINE_BYTES_MAX = 1_536;
    static final int INITRD_CONTENT_BYTES_MAX = 1 << 20;

    static final int CHANNEL_SLOTS_MIN = 64;
    static final int CHANNEL_SLOTS_MAX = 262_144;
    static final int CHANNEL_SLOTS_DEFAULT = 4_096;
    static final int MESSAGE_BYTES_MAX = 1 << 20;

    static final int CONSOLE_BYTES_MIN = 8_192;
    static final int CONSOLE_BYTES_DEFAULT = 8 << 20;
    static final int CONSOLE_BYTES_MAX = 1 << 30;
    static final int CONSOLE_CHUNK_BYTES_MAX = 65_536;
    static final int CONSOLE_INPUT_BYTES_MAX = 65_536;

    /** What is kept of the VMM's own error output. */
    static final int VMM_ERROR_BYTES_MAX = 65_536;

    static final int RECORD_FILE_BYTES_MAX = 65_536;
    static final int CONTROL_MESSAGE_BYTES_MAX = 1 << 20;
    static final int VMS_LISTED_MAX = 4_096;

    /** sockaddr_un holds 108 bytes, the last of them a zero (unix(7)). */
    static final int SOCKET_PATH_BYTES_MAX = 107;

    static final Duration START_DEADLINE = Duration.ofSeconds(30);
    static final Duration CONTROL_DEADLINE = Duration.ofSeconds(5);
    static final Duration FORCED_END_DEADLINE = Duration.ofSeconds(10);
    static final Duration CONSOLE_INPUT_DEADLINE = Duration.ofSeconds(2);
    static final Duration HEALTH_INTERVAL = Duration.ofSeconds(1);
    static final Duration POLL_INTERVAL_MIN = Duration.ofMillis(1);
    static final Duration POLL_INTERVAL_MAX = Duration.ofMillis(20);

    /** How long a channel record may be missing while a later one is there: writes may complete out of order. */
    static final Duration CHANNEL_GAP_PATIENCE = Duration.ofMillis(250);

    /** A start that has left no process after this time was interrupted. */
    static final Duration START_INTERRUPTED_AFTER = Duration.ofSeconds(10);

    static final Duration KVM_PROBE_DEADLINE = Duration.ofSeconds(2);

    private Limits() {}
}
