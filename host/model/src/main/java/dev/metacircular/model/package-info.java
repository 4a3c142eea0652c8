/** The words of the control plane as types: pure, without input, output or dependency. */
@NullMarked
package dev.metacircular.model;

import org.jspecify.annotations.NullMarked;
