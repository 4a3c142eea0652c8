package dev.metacircular.runtime.podman;

import java.time.Duration;

/**
 * How long a call may take altogether, however slowly podman answers.
 *
 * @param call any call that is not named here
 * @param list listing and inspecting
 * @param work creating, starting and removing an instance, which take podman longer the more of them it has at once
 * @param stopMargin what stopping may take beyond its grace period
 * @param pullIdle how long a pull may be silent
 * @param pullTotal how long a pull may take
 */
public record PodmanDeadlines(
        Duration call, Duration list, Duration work, Duration stopMargin, Duration pullIdle, Duration pullTotal) {
    public static final PodmanDeadlines DEFAULT = new PodmanDeadlines(
            Duration.ofSeconds(10),
            Duration.ofSeconds(5),
            Duration.ofSeconds(30),
            Duration.ofSeconds(10),
            Duration.ofSeconds(60),
            Duration.ofMinutes(30));
}
