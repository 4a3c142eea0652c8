package dev.metacircular.model;

import java.time.Duration;
import java.util.List;

/** How a component shows that it serves; a deploy waits for it. Ports are the component's own. */
public sealed interface HealthCheck {
    /** The longest that a deploy waits for the first success. */
    Duration DEFAULT_TIMEOUT = Duration.ofSeconds(30);

    Duration timeout();

    /**
     * A GET over HTTP/1.1 that answers with a status from 200 to 399.
     *
     * @param path begins with {@code /}
     */
    record Http(int port, String path, Duration timeout) implements HealthCheck {
        @Override
        public String toString() {
            return "http " + port + path;
        }
    }

    /** A TCP connection that is accepted. */
    record Tcp(int port, Duration timeout) implements HealthCheck {
        @Override
        public String toString() {
            return "tcp " + port;
        }
    }

    /** A command inside the component that exits with 0. */
    record Command(List<String> command, Duration timeout) implements HealthCheck {
        public Command {
            command = List.copyOf(command);
        }

        @Override
        public String toString() {
            return "cmd " + String.join(" ", command);
        }
    }
}
