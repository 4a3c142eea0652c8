/**
 * gRPC over HTTP/2 (RFC 9113) as a short-lived client needs it: few classes, blocking sockets, TLS 1.3 alone. The JDK's
 * own client drops trailers, where gRPC has its status, and the usual transports cost more at start-up than a command.
 */
@NullMarked
package dev.metacircular.cli.http2;

import org.jspecify.annotations.NullMarked;
