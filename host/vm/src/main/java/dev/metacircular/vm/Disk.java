package dev.metacircular.vm;

import java.nio.file.Path;

/**
 * A block device of a VM, backed by a raw file.
 *
 * @param file the raw file; the guest sees its size in whole 512-byte sectors
 * @param readOnly whether the guest may only read it
 */
public record Disk(Path file, boolean readOnly) {}
