/**
 * VM drivers: starts a microVM under QEMU or Firecracker, finds it again after the starting process died, reads its console
 * and channel, and says how it ended. Knows no other module. Formats shared with the guest are in {@code docs/image-format.md}.
 */
@NullMarked
package dev.metacircular.vm;

import org.jspecify.annotations.NullMarked;
