package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.RuntimeFailure;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * One question that many ask at once, put once for all who came while the one before was being answered: nobody gets an answer to a
 * question that was put before they asked, and nobody waits for more than two. A failure is everyone's who asked.
 */
final class SharedQuestion<T> {
    private final Supplier<T> question;
    private final ReentrantLock turn = new ReentrantLock();
    private Optional<CompletableFuture<T>> next = Optional.empty();

    /** @param question ends by itself within its deadline */
    SharedQuestion(Supplier<T> question) {
        this.question = question;
    }

    T ask() {
        CompletableFuture<T> answer = new CompletableFuture<>();
        boolean puts;
        synchronized (this) {
            puts = next.isEmpty();
            if (puts) {
                next = Optional.of(answer);
            } else {
                answer = next.get();
            }
        }
        if (puts) {
            put(answer);
        }
        try {
            return answer.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeFailure failure) {
                throw new RuntimeFailure(failure.kind(), String.valueOf(failure.getMessage()), failure);
            }
            throw e;
        }
    }

    private void put(CompletableFuture<T> answer) {
        turn.lock();
        try {
            synchronized (this) {
                next = Optional.empty();
            }
            answer.complete(question.get());
        } catch (RuntimeException | Error e) {
            answer.completeExceptionally(e);
        } finally {
            turn.unlock();
        }
    }
}
