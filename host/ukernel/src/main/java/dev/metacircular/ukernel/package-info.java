/** The developer's CLI: projects, their builds and images, and local microVMs. */
@NullMarked
package dev.metacircular.ukernel;

import org.jspecify.annotations.NullMarked;
