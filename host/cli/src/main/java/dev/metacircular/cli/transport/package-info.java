/** How a command reaches an agent: gRPC's OkHttp transport, with the node's own CA, and errors in an operator's words. */
@NullMarked
package dev.metacircular.cli.transport;

import org.jspecify.annotations.NullMarked;
