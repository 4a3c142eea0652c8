package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * One holder a service at a time. An operator's call is refused while another's holds it, and told whose; it waits for the agent's own
 * short work. A service that awaits recovery is refused to everyone but the recovery. Any thread may release.
 */
final class ServiceLocks {
    private static final Duration PATIENCE_WITH_AGENT = Duration.ofSeconds(30);

    private final Clock clock;
    private final Map<Name, Held> held = new HashMap<>();
    private final Map<Name, String> blocked = new HashMap<>();

    ServiceLocks(Clock clock) {
        this.clock = clock;
    }

    /** Released when closed; closing again does nothing. */
    final class Held implements AutoCloseable {
        private final Name service;
        private final String holder;
        private final boolean byOperator;
        private final Instant since = clock.instant();

        private Held(Name service, String holder, boolean byOperator) {
            this.service = service;
            this.holder = holder;
            this.byOperator = byOperator;
        }

        @Override
        public void close() {
            synchronized (ServiceLocks.this) {
                held.remove(service, this);
                ServiceLocks.this.notifyAll();
            }
        }
    }

    /**
     * Takes the service for an operator's call.
     *
     * @param holder who does what, such as {@code a deploy by operator}
     * @throws ProblemException {@code LOCKED}
     */
    synchronized Held acquire(Name service, String holder) {
        long deadline = System.nanoTime() + PATIENCE_WITH_AGENT.toNanos();
        while (true) {
            if (blocked.containsKey(service)) {
                throw locked(service, "the agent is still recovering it: " + blocked.get(service));
            }
            Held other = held.get(service);
            if (other == null) {
                Held mine = new Held(service, holder, true);
                held.put(service, mine);
                return mine;
            }
            long leftMillis = (deadline - System.nanoTime()) / 1_000_000;
            if (other.byOperator || leftMillis <= 0) {
                throw locked(service, other.holder + " holds it since " + other.since.truncatedTo(ChronoUnit.SECONDS));
            }
            try {
                wait(leftMillis);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw locked(service, "the agent is ending");
            }
        }
    }

    private static ProblemException locked(Name service, String why) {
        return Problem.of(Problem.Kind.LOCKED, "the service is locked: " + why)
                .at(service.value())
                .next("try again when it is done; mcp status " + service + " shows how it stands")
                .exception();
    }

    /** Takes the service for the agent's own work, if nobody holds it and it is not blocked. */
    synchronized Optional<Held> tryAcquire(Name service, String holder) {
        return blocked.containsKey(service) ? Optional.empty() : tryAcquireForRecovery(service, holder);
    }

    /** Takes the service although it is blocked, if nobody holds it. */
    synchronized Optional<Held> tryAcquireForRecovery(Name service, String holder) {
        if (held.containsKey(service)) {
            return Optional.empty();
        }
        Held mine = new Held(service, holder, false);
        held.put(service, mine);
        return Optional.of(mine);
    }

    /** Refuses the service to everyone but the recovery until it is unblocked. */
    synchronized void block(Name service, String why) {
        blocked.put(service, why);
    }

    synchronized void unblock(Name service) {
        blocked.remove(service);
        notifyAll();
    }

    /** The services that await recovery. */
    synchronized Set<Name> blockedServices() {
        return Set.copyOf(blocked.keySet());
    }

    /** Why the service awaits recovery, empty if it does not. */
    synchronized Optional<String> blockedBecause(Name service) {
        return Optional.ofNullable(blocked.get(service));
    }

    /** Whether nobody holds the service and it does not await recovery. */
    synchronized boolean isFree(Name service) {
        return !held.containsKey(service) && !blocked.containsKey(service);
    }

    /** Whether an operator's call holds any service. */
    synchronized boolean isBusy() {
        return held.values().stream().anyMatch(h -> h.byOperator);
    }

    /** Waits until no operator's call holds a service, at most so long; returns whether that came. */
    synchronized boolean awaitIdle(Duration atMost) {
        long deadline = System.nanoTime() + atMost.toNanos();
        while (isBusy()) {
            long leftMillis = (deadline - System.nanoTime()) / 1_000_000;
            if (leftMillis <= 0) {
                return false;
            }
            try {
                wait(leftMillis);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return false;
            }
        }
        return true;
    }
}
