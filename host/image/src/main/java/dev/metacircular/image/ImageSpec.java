package dev.metacircular.image;

import java.util.Optional;

/**
 * What goes into an image.
 *
 * @param manifest its {@code segments} are ignored: the writer fills them in, and the digest {@code kernel}
 * @param kernel the kernel's ELF file
 * @param adapter the content of {@code /adapter}; none for {@code native}
 * @param workload the root file system as the workload will see it; it must not hold {@code kernel}, {@code manifest} or
 *     {@code adapter}
 */
public record ImageSpec(Manifest manifest, Content kernel, Optional<Node.Directory> adapter, Node.Directory workload) {}
