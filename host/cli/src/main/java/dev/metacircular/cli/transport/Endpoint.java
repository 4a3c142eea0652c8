package dev.metacircular.cli.transport;

import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * Where a node's agent is, and how it is known.
 *
 * @param node its name, for messages
 * @param host a host name, an IPv4 address, or an IPv6 address without brackets; its certificate must name it
 * @param ca the PEM file of the one certificate authority that is trusted
 * @param token read for each call, never kept, never told
 * @param connectTimeout the longest that connecting, and then the TLS handshake, may take
 */
public record Endpoint(String node, String host, int port, Path ca, Supplier<String> token, Duration connectTimeout) {

    String authority() {
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
    }
}
