@NullMarked
package dev.metacircular.agent;

import org.jspecify.annotations.NullMarked;
