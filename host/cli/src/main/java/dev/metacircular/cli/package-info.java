/** The operator's command, {@code mcp}: a thin client of the agents, without state of its own but its files. */
@NullMarked
package dev.metacircular.cli;

import org.jspecify.annotations.NullMarked;
