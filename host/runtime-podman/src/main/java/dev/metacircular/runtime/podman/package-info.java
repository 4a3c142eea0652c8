/** Containers by rootless podman, through libpod's API (v4.0.0) on its unix socket. */
@NullMarked
package dev.metacircular.runtime.podman;

import org.jspecify.annotations.NullMarked;
