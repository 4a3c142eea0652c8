package dev.metacircular.cli;

import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Follows the event logs of several nodes at once. A stream that breaks is opened again and goes on after the last event that came, so
 * that each comes once; a node that is away is told once and tried again, and holds up no other.
 */
final class EventFollower {
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);

    private final Session session;
    private final EventsRequest request;
    private final Optional<Long> endNanos;
    private final List<Integer> statuses = new ArrayList<>();
    private volatile boolean ended;

    EventFollower(Session session, EventsRequest request) {
        this.session = session;
        this.request = request;
        this.endNanos = session.timeoutSeconds().map(s -> System.nanoTime() + Math.round(s * 1e9));
    }

    /**
     * Until interrupted, or the time that {@code --timeout} says is over, or no node can be followed.
     *
     * @param check what is asked meanwhile, so that a slow node holds up nothing; if it refuses, so does this
     */
    int follow(Collection<ClientConfig.Node> nodes, Runnable check) {
        List<Thread> threads = new ArrayList<>();
        for (ClientConfig.Node node : nodes) {
            Thread thread = new Thread(() -> follow(node), "follow " + node.name());
            thread.setDaemon(true);
            thread.start();
            threads.add(thread);
        }
        try {
            check.run();
            for (Thread t : threads) {
                t.join();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            ended = true;
        }
        synchronized (this) {
            session.out().flush();
            return View.heaviest(statuses);
        }
    }

    private boolean isOver() {
        return ended || endNanos.filter(end -> System.nanoTime() - end >= 0).isPresent();
    }

    private void follow(ClientConfig.Node node) {
        EventsRequest next = request;
        Duration pause = FIRST_PAUSE;
        boolean away = false;
        while (!isOver()) {
            Optional<Problem> problem = Optional.empty();
            long last = next.getAfterId();
            try (AgentChannel channel = Nodes.channel(session, node)) {
                AgentGrpc.AgentBlockingStub stub = AgentGrpc.newBlockingStub(channel);
                if (endNanos.isPresent()) {
                    stub = stub.withDeadlineAfter(
                            Math.max(1, endNanos.get() - System.nanoTime()), TimeUnit.NANOSECONDS);
                }
                Iterator<Event> events = stub.events(next);
                while (events.hasNext()) {
                    Event event = events.next();
                    last = event.getId();
                    pause = FIRST_PAUSE;
                    if (away) {
                        away = false;
                        tell("node " + node.name() + " is followed again");
                    }
                    print(node, event);
                }
            } catch (StatusRuntimeException e) {
                problem = Optional.of(Nodes.at(node, Nodes.explain(e, Nodes.QUESTION)));
            } catch (ProblemException e) {
                problem = Optional.of(Nodes.at(node, e.problem()));
            }
            if (last > next.getAfterId()) {
                next = EventsRequest.newBuilder(request)
                        .clearTail()
                        .setAfterId(last)
                        .build();
            }
            if (isOver()) {
                return;
            }
            if (problem.isPresent() && !isPassing(problem.get())) {
                fail(problem.get());
                return;
            }
            if (!away) {
                away = true;
                tell(problem.map(p -> Text.printable(p.what()) + " (" + p.where() + "): trying again")
                        .orElse("node " + node.name() + " ended the stream: trying again"));
            }
            if (!sleep(pause)) {
                return;
            }
            Duration twice = pause.multipliedBy(2);
            pause = twice.compareTo(LONGEST_PAUSE) < 0 ? twice : LONGEST_PAUSE;
        }
    }

    private static boolean isPassing(Problem problem) {
        return Problems.exitStatus(problem.kind()) == ExitStatus.UNREACHABLE;
    }

    private static boolean sleep(Duration pause) {
        try {
            Thread.sleep(pause);
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private synchronized void print(ClientConfig.Node node, Event event) {
        EventsCommand.print(session, new EventsCommand.Told(node.name().value(), event));
        session.out().flush();
    }

    private synchronized void tell(String text) {
        session.err().println("warning: " + text);
    }

    private synchronized void fail(Problem problem) {
        Report.toPeople(session, problem);
        statuses.add(Problems.exitStatus(problem.kind()));
    }
}
