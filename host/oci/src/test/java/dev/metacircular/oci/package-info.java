@NullMarked
package dev.metacircular.oci;

import org.jspecify.annotations.NullMarked;
