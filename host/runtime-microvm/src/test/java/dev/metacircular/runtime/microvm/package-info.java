@NullMarked
package dev.metacircular.runtime.microvm;

import org.jspecify.annotations.NullMarked;
