/** From (definition, registry, observed) to a list of operations: data that format themselves, executed by the agent as they stand. */
@NullMarked
package dev.metacircular.plan;

import org.jspecify.annotations.NullMarked;
