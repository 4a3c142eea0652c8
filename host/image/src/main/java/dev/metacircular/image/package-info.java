/**
 * Guest images: one file that is a bootable ELF and a mountable EROFS file system, its manifest, and the run-time configuration
 * that is handed to it beside the image. The format is {@code docs/image-format.md}.
 */
@NullMarked
package dev.metacircular.image;

import org.jspecify.annotations.NullMarked;
