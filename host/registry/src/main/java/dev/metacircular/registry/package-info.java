/** The node's registry: what should be there, kept in SQLite so that a crash at any point leaves the old or the new state. */
@NullMarked
package dev.metacircular.registry;

import org.jspecify.annotations.NullMarked;
