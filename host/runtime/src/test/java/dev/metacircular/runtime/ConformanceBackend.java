package dev.metacircular.runtime;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** What a backend supplies to be tested for conformance; used by several tests, one after another. */
public interface ConformanceBackend extends AutoCloseable {
    /** What an instance is to do; {@link #command} says how. */
    enum Workload {
        /** Runs until it is asked to end, then ends at once with 0. */
        RUNS,
        /** Writes {@code stubborn}, runs, and does not heed being asked to end. */
        STUBBORN,
        /** Writes {@code boom} to standard error and ends at once with 3. */
        FAILS,
        /** Writes {@code one}, {@code two} to standard output, {@code three} to standard error, then as {@link #RUNS}. */
        TALKS,
        /** Writes a line of 40,000 times {@code x} and the line {@code end}, and ends at once with 0. */
        LONG_LINE,
        /** Writes {@code tick} ten times, 100 ms apart, and ends with 0. */
        TICKS,
        /** Answers HTTP on port 8080: 200 to {@code /ok}, 404 else. */
        SERVES,
        /** Accepts connections on port 8080 and says nothing. */
        MUTE,
        /**
         * Writes {@code greeting=$GREETING secret=$PASSWORD file=<content of /data/file> user=<its user ID>}, then as
         * {@link #RUNS}.
         */
        REPORTS
    }

    /** What not every backend has; where one has not, the suite tests that it says so. */
    enum Capability {
        /** Standard error can be told from standard output. */
        STREAMS_APART,
        /** A volume is a folder; else it is a disk, and {@link Workload#REPORTS} tells its first line. */
        FOLDERS,
        /** A component has a user; else it says that it is user 0. */
        USERS,
        /** Commands run beside the component's program. */
        COMMANDS
    }

    Runtime runtime();

    default Set<Capability> capabilities() {
        return EnumSet.allOf(Capability.class);
    }

    /** The same backend anew, as another process would see it. */
    Runtime reopened(Name node);

    Name node();

    /** An image on the node itself that does every workload. */
    ImageRef image();

    List<String> command(Workload workload);

    /** An image in a registry that does every workload; may be on the node already. */
    ImageRef pullable();

    /** Moves the tag of {@link #pullable} in its registry to another content. */
    void moveTag();

    /** An image of that registry that does not exist. */
    ImageRef absent();

    /** An image of a registry that refuses the node's credentials. */
    ImageRef denied();

    /** A port on the loopback that nothing uses. */
    int freePort();

    @Override
    void close();
}
