/**
 * Images and artifacts in image registries (OCI Distribution Specification 1.1, OCI Image Specification 1.1). Nothing that a
 * registry answers is trusted: sizes are bounded, digests are checked, every wait ends.
 */
@NullMarked
package dev.metacircular.oci;

import org.jspecify.annotations.NullMarked;
