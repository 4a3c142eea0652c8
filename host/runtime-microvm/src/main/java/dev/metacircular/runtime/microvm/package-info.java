/**
 * Components as microVMs: each is carried by a container of rootless podman whose only program is the VMM, so that networks,
 * names, published ports, logs and events are podman's, as for containers. Guest images are kept in a store of the node's own.
 */
@NullMarked
package dev.metacircular.runtime.microvm;

import org.jspecify.annotations.NullMarked;
