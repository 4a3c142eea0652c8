/**
 * What runs components: one small mandatory interface, optional capabilities apart, and the conformance suite (test jar) that
 * every backend passes.
 */
@NullMarked
package dev.metacircular.runtime;

import org.jspecify.annotations.NullMarked;
