package dev.metacircular.runtime;

/**
 * What of a node keeps instances from running although their backend answers.
 *
 * @param mend what to do about it
 */
public record Obstacle(String what, String mend) {}
