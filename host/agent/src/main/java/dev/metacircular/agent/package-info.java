/** The node's daemon: serves the contract, drives the runtimes, heals what should run. */
@NullMarked
package dev.metacircular.agent;

import org.jspecify.annotations.NullMarked;
