package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.runtime.RuntimeFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SharedQuestionTest {
    private static final int MANY = 50;

    @Test
    void whoAskMeanwhileShareTheNextAnswerAndNeverGetOneToAnEarlierQuestion() throws Exception {
        AtomicInteger puts = new AtomicInteger();
        CountDownLatch begun = new CountDownLatch(1);
        Semaphore may = new Semaphore(0);
        SharedQuestion<Integer> question = new SharedQuestion<>(() -> {
            int put = puts.incrementAndGet();
            begun.countDown();
            may.acquireUninterruptibly();
            return put;
        });
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<Integer> first = threads.submit(question::ask);
            begun.await();
            CountDownLatch asking = new CountDownLatch(MANY);
            List<Future<Integer>> rest = new ArrayList<>();
            for (int i = 0; i < MANY; i++) {
                rest.add(threads.submit(() -> {
                    asking.countDown();
                    return question.ask();
                }));
            }
            asking.await();
            may.release(1_000);
            assertThat(first.get()).isEqualTo(1);
            for (Future<Integer> one : rest) {
                assertThat(one.get()).isGreaterThan(1);
            }
        }
        assertThat(puts.get()).isLessThan(1 + MANY);
    }

    @Test
    void aFailureIsToldAndTheNextQuestionIsPutAnew() {
        AtomicInteger puts = new AtomicInteger();
        SharedQuestion<Integer> question = new SharedQuestion<>(() -> {
            if (puts.incrementAndGet() == 1) {
                throw new RuntimeFailure(RuntimeFailure.Kind.DEADLINE, "no answer");
            }
            return puts.get();
        });
        assertThatThrownBy(question::ask)
                .isInstanceOfSatisfying(
                        RuntimeFailure.class, f -> assertThat(f.kind()).isEqualTo(RuntimeFailure.Kind.DEADLINE))
                .hasMessage("no answer");
        assertThat(question.ask()).isEqualTo(2);
    }
}
