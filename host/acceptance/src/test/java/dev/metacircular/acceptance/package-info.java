/** Tests of the built programs from outside, on real rootless podman: only bin/ and the public interface. */
@NullMarked
package dev.metacircular.acceptance;

import org.jspecify.annotations.NullMarked;
