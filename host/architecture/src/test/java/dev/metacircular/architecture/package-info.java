/** Tests of the structure itself. */
@NullMarked
package dev.metacircular.architecture;

import org.jspecify.annotations.NullMarked;
