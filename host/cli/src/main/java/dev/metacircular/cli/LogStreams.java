package dev.metacircular.cli;

import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.contract.TimeMerge;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Target;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The logs of several services of several nodes as one stream in the order of time; one that breaks does not end the others. */
final class LogStreams {
    private static final Duration WHOLE = Duration.ofMinutes(10);
    private static final Duration PATIENCE = Duration.ofMillis(300);
    private static final Duration FIRST_PATIENCE = Duration.ofSeconds(3);
    private static final Duration POLL = Duration.ofMillis(200);

    private final Session session;
    private final LogsRequest request;
    private final Duration limit;
    private final TimeMerge<Line> merge;
    private final List<Problem> problems = new ArrayList<>();
    private int opened;

    /** A line and whose it is. */
    record Line(Name node, Name service, LogLine line) {}

    /** @param request without its service and component */
    LogStreams(Session session, LogsRequest request) {
        this.session = session;
        this.request = request;
        this.limit = Nodes.limit(session, WHOLE);
        this.merge = request.getFollow()
                ? new TimeMerge<>(l -> l.line().getTimeMs(), PATIENCE, FIRST_PATIENCE)
                : new TimeMerge<>(l -> l.line().getTimeMs(), limit, limit);
    }

    void open(ClientConfig.Node node, Target target) {
        TimeMerge<Line>.Source source = merge.add();
        opened++;
        Thread reading = new Thread(() -> read(node, target, source), "logs of " + target);
        reading.setDaemon(true);
        reading.start();
    }

    private void read(ClientConfig.Node node, Target target, TimeMerge<Line>.Source source) {
        // The source ends last: with the last one's end the command ends, and what went wrong must be known by then.
        try (source) {
            readInto(source, node, target);
        }
    }

    private void readInto(TimeMerge<Line>.Source source, ClientConfig.Node node, Target target) {
        LogsRequest own = request.toBuilder()
                .setService(target.service().value())
                .setComponent(target.component().map(Name::value).orElse(""))
                .build();
        try (AgentChannel channel = Nodes.channel(session, node)) {
            AgentGrpc.AgentBlockingStub stub = AgentGrpc.newBlockingStub(channel);
            if (!request.getFollow() || session.timeoutSeconds().isPresent()) {
                stub = stub.withDeadlineAfter(limit.toNanos(), TimeUnit.NANOSECONDS);
            }
            Iterator<LogLine> lines = stub.logs(own);
            while (lines.hasNext() && source.put(new Line(node.name(), target.service(), lines.next()))) {
                // The merge holds so many lines as it has room for.
            }
        } catch (StatusRuntimeException e) {
            failed(Nodes.at(node, Nodes.explain(e, limit)), target);
        } catch (ProblemException e) {
            failed(Nodes.at(node, e.problem()), target);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Told at once where others go on. */
    private void failed(Problem problem, Target target) {
        synchronized (problems) {
            problems.add(problem);
        }
        if (opened > 1) {
            session.out().flush();
            Report.toPeople(
                    session,
                    new Problem(
                            problem.kind(),
                            "the log of " + target + " ends here: " + problem.what(),
                            problem.where(),
                            problem.next()));
        }
    }

    /** Prints until all have ended, and returns what went wrong. */
    List<Problem> read(LogPrinter printer) {
        try {
            while (!merge.isDone()) {
                Optional<Line> line = merge.poll(POLL);
                if (line.isPresent()) {
                    printer.print(line.get());
                }
                if (line.isEmpty() || request.getFollow()) {
                    printer.flush();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            merge.close();
        }
        synchronized (problems) {
            return List.copyOf(problems);
        }
    }
}
