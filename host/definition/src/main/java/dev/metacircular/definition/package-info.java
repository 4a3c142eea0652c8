/** Service definition and configuration files (TOML) to and from the model, with the position of every fault. */
@NullMarked
package dev.metacircular.definition;

import org.jspecify.annotations.NullMarked;
