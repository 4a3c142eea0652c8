/** The agent's interface on the wire, and the one mapping between its messages and errors and the model. */
@NullMarked
package dev.metacircular.contract;

import org.jspecify.annotations.NullMarked;
