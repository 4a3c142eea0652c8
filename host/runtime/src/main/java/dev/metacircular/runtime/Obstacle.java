package dev.metacircular.runtime;

/**
 * What of a node keeps instances from running although their backend answers, or from running as they could.
 *
 * @param check what was looked at, one word as {@code mcp doctor} names its checks
 * @param stops whether instances do not run at all
 * @param mend what to do about it
 */
public record Obstacle(String check, boolean stops, String what, String mend) {}
