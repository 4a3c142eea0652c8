@NullMarked
package dev.metacircular.image;

import org.jspecify.annotations.NullMarked;
