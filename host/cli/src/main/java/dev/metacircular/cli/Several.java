package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.model.Problem;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * One command for several services at once: side by side, over one connection to each node. Targets of one service follow one another, for
 * they change the same file and the same rows. What is printed of a target comes in one piece, when it is done, and the exit status is the
 * one that weighs most.
 */
final class Several {
    private static final int AT_ONCE = 24;

    private Several() {}

    static int run(Command command, Arguments arguments, List<String> targets, Session session) {
        if (targets.size() == 1) {
            return command.run(arguments.on(targets.getFirst()), session);
        }
        Map<String, List<String>> byService = new LinkedHashMap<>();
        for (String target : targets) {
            List<String> same = byService.computeIfAbsent(target.split("/", 2)[0], _ -> new ArrayList<>());
            if (same.contains(target)) {
                throw Problem.of(Problem.Kind.INVALID, "'" + target + "' is named twice")
                        .exception();
            }
            same.add(target);
        }
        ExecutorService pool = Executors.newFixedThreadPool(
                AT_ONCE, Thread.ofPlatform().daemon().name("of-several-", 0).factory());
        try (SharedChannels channels = new SharedChannels()) {
            Session sharing = session.sharing(channels);
            List<Future<List<Integer>>> futures = new ArrayList<>();
            byService
                    .values()
                    .forEach(same -> futures.add(pool.submit(() -> oneByOne(command, arguments, same, sharing))));
            List<Integer> statuses = new ArrayList<>();
            for (Future<List<Integer>> future : futures) {
                statuses.addAll(future.get());
            }
            return View.heaviest(statuses);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return ExitStatus.FAILED;
        } finally {
            pool.shutdownNow();
        }
    }

    private static List<Integer> oneByOne(Command command, Arguments arguments, List<String> targets, Session session) {
        return targets.stream().map(t -> one(command, arguments.on(t), session)).toList();
    }

    private static int one(Command command, Arguments arguments, Session session) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        try (PrintStream outText = new PrintStream(out, false, StandardCharsets.UTF_8);
                PrintStream errText = new PrintStream(err, false, StandardCharsets.UTF_8)) {
            Session own = session.printing(outText, errText);
            return Cli.reporting(own, () -> command.run(arguments, own));
        } finally {
            print(session, out, err);
        }
    }

    private static void print(Session session, ByteArrayOutputStream out, ByteArrayOutputStream err) {
        synchronized (session) {
            session.out().print(out.toString(StandardCharsets.UTF_8));
            session.out().flush();
            session.err().print(err.toString(StandardCharsets.UTF_8));
            session.err().flush();
        }
    }
}
