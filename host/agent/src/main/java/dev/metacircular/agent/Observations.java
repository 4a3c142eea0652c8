package dev.metacircular.agent;

import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * Asks every backend what is so, within a budget, whatever the backends do. A question that is still unanswered is not asked a second
 * time: later callers wait for the same answer, so a hanging backend costs one thread.
 */
final class Observations {
    private static final Duration BUDGET = Duration.ofMillis(700);

    private final Runtimes runtimes;
    private final Map<RuntimeKind, CompletableFuture<List<Instance>>> lists = new ConcurrentHashMap<>();
    private final Map<RuntimeKind, CompletableFuture<List<Image>>> images = new ConcurrentHashMap<>();
    private final Map<RuntimeKind, Availability.Available> lastAvailable = new ConcurrentHashMap<>();

    Observations(Runtimes runtimes) {
        this.runtimes = runtimes;
    }

    /**
     * What one backend answered.
     *
     * @param instances empty if it did not answer
     * @param imageIds by reference; empty if it was not asked or did not answer in time
     * @param reason why it did not answer, empty if it did
     */
    record Answer(
            Optional<List<Instance>> instances,
            Optional<Map<String, String>> imageIds,
            String reason,
            String version,
            String accelerator) {}

    /** One answer for each backend that this node has. */
    Map<RuntimeKind, Answer> ask(boolean withImages) {
        long deadline = System.nanoTime() + BUDGET.toNanos();
        Map<RuntimeKind, CompletableFuture<List<Instance>>> listing = new EnumMap<>(RuntimeKind.class);
        Map<RuntimeKind, CompletableFuture<List<Image>>> imaging = new EnumMap<>(RuntimeKind.class);
        for (Runtime runtime : runtimes.all()) {
            listing.put(runtime.kind(), once(lists, runtime.kind(), runtime::look));
            if (withImages) {
                imaging.put(runtime.kind(), once(images, runtime.kind(), runtime::images));
            }
        }
        Map<RuntimeKind, Answer> answers = new EnumMap<>(RuntimeKind.class);
        listing.forEach((kind, future) ->
                answers.put(kind, answer(kind, future, Optional.ofNullable(imaging.get(kind)), deadline)));
        return answers;
    }

    private Answer answer(
            RuntimeKind kind,
            CompletableFuture<List<Instance>> listing,
            Optional<CompletableFuture<List<Image>>> imaging,
            long deadline) {
        Optional<Availability.Available> known = Optional.ofNullable(lastAvailable.get(kind));
        String version = known.map(Availability.Available::version).orElse("");
        String accelerator = known.map(Availability.Available::accelerator).orElse("");
        try {
            List<Instance> instances = await(listing, deadline);
            return new Answer(Optional.of(instances), imaging.flatMap(i -> ids(i, deadline)), "", version, accelerator);
        } catch (Unanswered e) {
            return new Answer(Optional.empty(), Optional.empty(), String.valueOf(e.getMessage()), version, accelerator);
        }
    }

    private static Optional<Map<String, String>> ids(CompletableFuture<List<Image>> imaging, long deadline) {
        try {
            Map<String, String> ids = new HashMap<>();
            await(imaging, deadline).forEach(i -> i.references().forEach(r -> ids.put(r, i.id())));
            return Optional.of(ids);
        } catch (Unanswered _) {
            return Optional.empty();
        }
    }

    private static <T> CompletableFuture<T> once(
            Map<RuntimeKind, CompletableFuture<T>> inFlight, RuntimeKind kind, Supplier<T> question) {
        return inFlight.computeIfAbsent(kind, k -> {
            CompletableFuture<T> future = new CompletableFuture<>();
            Thread.startVirtualThread(() -> {
                try {
                    T answer = question.get();
                    inFlight.remove(k);
                    future.complete(answer);
                } catch (RuntimeException | Error e) {
                    inFlight.remove(k);
                    future.completeExceptionally(e);
                }
            });
            return future;
        });
    }

    private static final class Unanswered extends Exception {
        private static final long serialVersionUID = 1L;

        Unanswered(String why) {
            super(why);
        }
    }

    private static <T> T await(CompletableFuture<T> future, long deadline) throws Unanswered {
        try {
            return future.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (ExecutionException e) {
            throw new Unanswered(
                    e.getCause() == null
                            ? "unknown"
                            : String.valueOf(e.getCause().getMessage()));
        } catch (TimeoutException e) {
            throw new Unanswered("no answer within " + BUDGET.toMillis() + " ms");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Unanswered("interrupted");
        }
    }

    /** What keeps the backends' instances from running; of one that cannot be asked nothing is told here. */
    List<Obstacle> obstacles() {
        List<Obstacle> all = new ArrayList<>();
        for (Runtime runtime : runtimes.all()) {
            try {
                all.addAll(runtime.obstacles());
            } catch (RuntimeFailure _) {
                // Its availability tells it.
            }
        }
        return all;
    }

    /** Asks for the backends' own versions, which are shown until asked again; takes up to two seconds. */
    Map<RuntimeKind, Availability> refreshAvailability() {
        List<Runtime> all = new ArrayList<>(runtimes.all());
        List<Availability> found = Parallel.all(all.stream()
                .map(r -> (java.util.concurrent.Callable<Availability>) r::availability)
                .toList());
        Map<RuntimeKind, Availability> result = new EnumMap<>(RuntimeKind.class);
        for (int i = 0; i < all.size(); i++) {
            RuntimeKind kind = all.get(i).kind();
            result.put(kind, found.get(i));
            if (found.get(i) instanceof Availability.Available available) {
                lastAvailable.put(kind, available);
            }
        }
        return result;
    }
}
