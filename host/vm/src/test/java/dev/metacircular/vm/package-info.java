@NullMarked
package dev.metacircular.vm;

import org.jspecify.annotations.NullMarked;
