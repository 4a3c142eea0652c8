package dev.metacircular.acceptance;

import java.time.Duration;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The agent is killed again and again: nothing is restarted that should not be, no event is lost or doubled, nothing is left over.
 * {@code bench/faults} runs it for longer.
 */
final class FaultRunTest {
    @Test
    @Timeout(value = 3, unit = TimeUnit.HOURS)
    void nothingIsLostDoubledOrRestartedOverKills() {
        long seed = Long.getLong("metacircular.faults.seed", new Random().nextLong(1_000_000));
        int kills = Integer.getInteger("metacircular.faults.kills", 20);
        Duration gone = Duration.ofSeconds(Long.getLong("metacircular.faults.gone", 3));
        if (!Node.ROOT) {
            System.out.println("NOT RUN: FaultRunTest with a full disk: a disk of its own needs root");
        }
        try (FaultWorld world = FaultWorld.open()) {
            FaultRun run = new FaultRun(new FaultRun.Options(seed, kills, gone), world);
            run.run();
            System.out.println("seed " + seed + ": " + run.summary());
        }
    }
}
