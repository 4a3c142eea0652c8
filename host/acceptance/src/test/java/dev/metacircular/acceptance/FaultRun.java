package dev.metacircular.acceptance;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;

/**
 * Rounds in each of which the agent is killed ({@code kill -9}) at a random moment of an operation or of a crash, together with another
 * fault now and then. After each, what podman itself says and what the event log says is compared with what the round may have done.
 * The seed determines the operations, the faults and the moments.
 */
final class FaultRun {
    /** What the agent is killed under. */
    enum Act {
        DEPLOY,
        RESTART,
        CRASH,
        SWITCH,
        GUEST,
        NOTHING
    }

    /** What goes wrong besides. */
    enum Fault {
        NONE,
        /** Podman's socket is gone from before the kill until some time after the agent's start. */
        PODMAN_GONE,
        /** The disk of the agent's state is full from before the act until some time after the agent's start. */
        DISK_FULL,
        /** The agent's clock is hours ahead from its next start on. */
        CLOCK_AHEAD,
        /** The agent's clock is hours behind from its next start on. */
        CLOCK_BEHIND,
        /** The registry's file is cut off after the kill, and its last snapshot is of before the act. */
        REGISTRY_CUT
    }

    /** @param gone how long podman's socket is gone */
    record Options(long seed, int kills, Duration gone) {}

    private static final Duration SETTLE_LIMIT = Duration.ofMinutes(3);
    /** The agent looks every two seconds, and more rarely where a look takes long. */
    private static final Duration EVENTS_LIMIT = Duration.ofSeconds(40);

    private static final Duration A_LOOK = Duration.ofMillis(2_500);
    private static final Duration IN_FLIGHT = Duration.ofSeconds(2);
    private static final Duration AFTERWARDS = Duration.ofSeconds(5);
    /** After so many crashes a component would flap: its count is taken back by a restart on request. */
    private static final int CRASHES_BETWEEN_RESTARTS = 3;

    private final Options options;
    private final FaultWorld world;
    private final Random random;
    private final List<String> journal = new ArrayList<>();
    private final List<Duration> settled = new ArrayList<>();
    private final Map<Act, Long> usualMillis = new EnumMap<>(Act.class);
    private final Map<Act, Integer> acts = new EnumMap<>(Act.class);
    private final Map<Fault, Integer> faults = new EnumMap<>(Fault.class);
    private final FaultClock clock;
    private Round.State state;
    private int crashes;
    private String title = "before the first round";

    FaultRun(Options options, FaultWorld world) {
        this.options = options;
        this.world = world;
        this.random = new Random(options.seed());
        this.clock = new FaultClock(world.node);
        Round.State first =
                new Round.State(world.containers(), world.registered().orElseThrow(), world.belongings(), 0);
        long last = world.eventsAfter(0).stream()
                .mapToLong(e -> e.get("id").asLong())
                .max()
                .orElse(0);
        this.state = new Round.State(first.containers(), first.registered(), first.belongings(), last);
    }

    /** @throws AssertionError with the seed and all that was done, at the first thing that is not as it should be */
    void run() {
        try {
            for (int i = 1; i <= options.kills(); i++) {
                round(i);
            }
            nothingMoreComes();
        } catch (AssertionError | RuntimeException e) {
            throw new AssertionError(
                    "seed " + options.seed() + ", " + title + ": "
                            + String.valueOf(e.getMessage()).replace("\n", " | ") + "\n" + String.join("\n", journal)
                            + "\nthe agent's last lines:\n" + tail(world.node.log()),
                    e);
        }
    }

    private static String tail(String text) {
        List<String> lines = text.lines().toList();
        return String.join("\n", lines.subList(Math.max(0, lines.size() - 60), lines.size()));
    }

    /** What is told too often, or too late, shows by now at the latest. */
    private void nothingMoreComes() {
        title = "after the last round";
        pause(AFTERWARDS.toMillis());
        Round quiet = new Round(world, Act.NOTHING, state);
        Round.Expectation nothing = Round.Expectation.nothing();
        state = awaitRight(
                quiet, nothing, awaitSettled(quiet, nothing), now -> quiet.check(nothing, now, Round.Starts.NONE));
    }

    /** What was done, and how long it took until all was as it should be again. */
    String summary() {
        List<Duration> sorted = settled.stream().sorted().toList();
        return "%d kills under %s, with %s; as desired again after a median of %d ms, at most %d ms of the agent's start"
                .formatted(
                        settled.size(),
                        acts,
                        faults,
                        sorted.get(sorted.size() / 2).toMillis(),
                        sorted.getLast().toMillis());
    }

    private void round(int number) {
        // Each act and each fault comes, whatever the seed.
        Act act = number <= Act.values().length ? Act.values()[number - 1] : pick(Act.values());
        Fault fault = number % 2 == 1 ? Fault.NONE : Fault.values()[1 + number / 2 % (Fault.values().length - 1)];
        if (fault == Fault.DISK_FULL && !Node.ROOT) {
            fault = Fault.NONE;
        }
        acts.merge(act, 1, Integer::sum);
        faults.merge(fault, 1, Integer::sum);
        long killAfter = (long) (random.nextDouble() * 1.1 * usualMillis.getOrDefault(act, 1_500L));
        boolean actsWhileDead = act == Act.CRASH && random.nextInt(3) == 0;
        long relief = random.nextLong(500, 2_500);
        title = "round %d: %s under %s, killed after %d ms%s"
                .formatted(number, act, fault, killAfter, actsWhileDead ? ", acts while dead" : "");
        tell(title);

        Round round = new Round(world, act, state);
        if (fault == Fault.DISK_FULL) {
            world.fill();
        } else if (fault == Fault.REGISTRY_CUT) {
            world.defineAs(state.registered());
            world.node.mcp("backup").ok();
        }
        Round.Expectation expected;
        if (actsWhileDead) {
            pause(killAfter);
            world.node.kill();
            expected = crash(round);
        } else {
            CompletableFuture<Round.Expectation> acting = CompletableFuture.supplyAsync(() -> perform(act, round));
            pause(killAfter);
            if (fault == Fault.PODMAN_GONE) {
                world.relay.set(Relay.Mode.GONE);
            }
            world.node.kill();
            expected = join(acting);
        }
        if (fault == Fault.CLOCK_AHEAD || fault == Fault.CLOCK_BEHIND) {
            clock.set(Duration.ofHours(fault == Fault.CLOCK_AHEAD ? 3 : -3));
        }
        if (fault == Fault.REGISTRY_CUT) {
            lose(round, expected);
        } else {
            comeBack(round, expected, fault, relief);
        }
        clock.reset();
        if (crashes >= CRASHES_BETWEEN_RESTARTS) {
            crashes = 0;
            world.node.mcp("restart", FaultWorld.MORTAL).ok();
            Round restart = new Round(world, Act.RESTART, state);
            title = "the restart after " + title;
            Round.Expectation done = Round.Expectation.restart(true);
            state = awaitRight(
                    restart, done, awaitSettled(restart, done), now -> restart.check(done, now, Round.Starts.NONE));
        }
    }

    private void comeBack(Round round, Round.Expectation expected, Fault fault, long relief) {
        start(fault, relief);
        Instant begun = Instant.now();
        Round.State now = awaitSettled(round, expected);
        settled.add(Duration.between(begun, Instant.now()));
        tell("  as desired after %d ms".formatted(settled.getLast().toMillis()));
        Round.Starts starts = Round.Starts.afterKill(fault == Fault.DISK_FULL);
        state = awaitRight(round, expected, now, n -> round.check(expected, n, starts));
    }

    /** The registry with all that the round did is lost: what runs goes on, and an operator brings back what should be. */
    private void lose(Round round, Round.Expectation expected) {
        FaultLoss loss = new FaultLoss(world, expected.act());
        // What podman had begun when the agent died is done by then.
        pause(IN_FLIGHT.toMillis());
        Map<String, String> running = loss.running();
        FaultLoss.cut(world.node, random.nextDouble() * 0.9);
        world.node.start();
        Instant begun = Instant.now();
        pause(A_LOOK.toMillis());
        loss.requireStillRunning(running);
        loss.requireTold(state.lastEvent());
        loss.repair();
        Round.State now = awaitSettled(round, expected);
        settled.add(Duration.between(begun, Instant.now()));
        tell("  as desired, with the operator's help, after %d ms"
                .formatted(settled.getLast().toMillis()));
        state = awaitRight(round, expected, now, n -> round.checkLoss(expected.act(), n));
    }

    private void start(Fault fault, long relief) {
        switch (fault) {
            case PODMAN_GONE -> {
                world.node.start();
                pause(options.gone().toMillis());
                world.relay.set(Relay.Mode.PASS);
            }
            case DISK_FULL -> {
                // As its unit would, it is started until it stays.
                boolean ready = world.node.tryStart();
                tell("  on the full disk it %s".formatted(ready ? "serves" : "does not start"));
                pause(relief);
                world.drain();
                if (!world.node.isRunning()) {
                    world.node.kill();
                    world.node.start();
                }
            }
            case NONE, CLOCK_AHEAD, CLOCK_BEHIND, REGISTRY_CUT -> world.node.start();
        }
    }

    private Round.Expectation perform(Act act, Round round) {
        return switch (act) {
            case DEPLOY -> {
                String next = state.image().equals(world.v1) ? world.v2 : world.v1;
                world.defineMoved(next);
                yield Round.Expectation.deploy(mcp(act, "deploy", FaultWorld.MOVED));
            }
            case RESTART -> Round.Expectation.restart(mcp(act, "restart", FaultWorld.MORTAL));
            case CRASH -> crash(round);
            case SWITCH ->
                Round.Expectation.flip(
                        mcp(act, state.switchedOn() ? "stop" : "start", FaultWorld.SWITCHED), !state.switchedOn());
            case GUEST -> {
                if (state.guestThere()) {
                    world.node.mcp("stop", FaultWorld.GUEST);
                    yield Round.Expectation.guest(mcp(act, "purge", FaultWorld.GUEST), false);
                }
                world.defineGuest();
                yield Round.Expectation.guest(mcp(act, "deploy", FaultWorld.GUEST), true);
            }
            case NOTHING -> Round.Expectation.nothing();
        };
    }

    private Round.Expectation crash(Round round) {
        crashes++;
        Shell.podman("kill", round.before(FaultWorld.MORTAL + "/web").id()).ok();
        tell("  crashed");
        return Round.Expectation.crash();
    }

    /** Whether the operator was told that it was done. */
    private boolean mcp(Act act, String... command) {
        Shell.Result result = world.node.mcp(command);
        tell("  mcp %s: exit %d after %d ms"
                .formatted(
                        String.join(" ", command), result.exit(), result.took().toMillis()));
        if (result.exit() == 0) {
            usualMillis.merge(act, result.took().toMillis(), (a, b) -> (a + b) / 2);
        }
        return result.exit() == 0;
    }

    /** Waits until podman itself has what is desired, and the agent says so. */
    private Round.State awaitSettled(Round round, Round.Expectation expected) {
        Instant until = Instant.now().plus(SETTLE_LIMIT);
        String why;
        do {
            switch (round.look(expected)) {
                case Round.Now.Settled(Round.State settledState) -> {
                    return settledState;
                }
                case Round.Now.Not(String reason) -> why = reason;
            }
            pause(100);
        } while (Instant.now().isBefore(until));
        throw new AssertionError("not as desired after " + SETTLE_LIMIT + ": " + why);
    }

    /**
     * Waits until what the round may have done is what is told of it: the agent looks every two seconds, so that an event may come
     * later than what it tells. One that comes too often is found in the next round.
     */
    private Round.State awaitRight(
            Round round, Round.Expectation expected, Round.State settledState, UnaryOperator<Round.State> check) {
        Instant until = Instant.now().plus(EVENTS_LIMIT);
        Round.State now = settledState;
        while (true) {
            try {
                return check.apply(now);
            } catch (AssertionError e) {
                if (Instant.now().isAfter(until)) {
                    throw e;
                }
            }
            pause(200);
            now = awaitSettled(round, expected);
        }
    }

    private Round.Expectation join(CompletableFuture<Round.Expectation> acting) {
        try {
            return acting.get(3, TimeUnit.MINUTES);
        } catch (TimeoutException e) {
            throw new AssertionError("mcp does not notice the agent's death", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        } catch (ExecutionException e) {
            throw new AssertionError(String.valueOf(e.getCause()), e);
        }
    }

    private synchronized void tell(String what) {
        journal.add(Instant.now() + " " + what);
    }

    private <T> T pick(T[] of) {
        return of[random.nextInt(of.length)];
    }

    private static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
