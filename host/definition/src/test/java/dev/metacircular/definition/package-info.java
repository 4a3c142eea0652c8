@NullMarked
package dev.metacircular.definition;

import org.jspecify.annotations.NullMarked;
