@NullMarked
package dev.metacircular.ukernel;

import org.jspecify.annotations.NullMarked;
