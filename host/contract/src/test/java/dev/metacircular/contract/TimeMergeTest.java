package dev.metacircular.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class TimeMergeTest {
    private static final Duration LONG = Duration.ofSeconds(20);

    private static TimeMerge<Long> merge(Duration patience) {
        return new TimeMerge<>(t -> t, patience, patience);
    }

    private static List<Long> rest(TimeMerge<Long> merge) throws InterruptedException {
        List<Long> all = new ArrayList<>();
        while (!merge.isDone()) {
            merge.poll(LONG).ifPresent(all::add);
        }
        return all;
    }

    @Test
    void givesLinesInTheOrderOfTimeHoweverUnevenlyTheyCome() throws InterruptedException {
        TimeMerge<Long> merge = merge(LONG);
        for (int s = 0; s < 3; s++) {
            long first = s;
            TimeMerge<Long>.Source source = merge.add();
            Thread.startVirtualThread(() -> {
                try (source) {
                    for (long t = first; t < 3_000; t += 3) {
                        source.put(t);
                        if (t % 1_000 == first) {
                            Thread.sleep(30 * (first + 1));
                        }
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
        }
        assertThat(rest(merge)).hasSize(3_000).isSorted();
    }

    @Test
    void aSilentSourceIsNotWaitedForLongerThanThePatience() throws InterruptedException {
        TimeMerge<Long> merge = merge(Duration.ofMillis(50));
        TimeMerge<Long>.Source silent = merge.add();
        TimeMerge<Long>.Source speaking = merge.add();
        speaking.put(7L);
        assertThat(merge.poll(LONG)).contains(7L);
        assertThat(merge.poll(Duration.ofMillis(20))).isEmpty();
        assertThat(merge.isDone()).isFalse();
        silent.close();
        speaking.close();
        assertThat(merge.isDone()).isTrue();
    }

    @Test
    void aSourceThatJoinsIsMergedAndOneThatIsAheadWaits() throws InterruptedException {
        TimeMerge<Long> merge = merge(LONG);
        TimeMerge<Long>.Source a = merge.add();
        a.put(1L);
        TimeMerge<Long>.Source b = merge.add();
        b.put(0L);
        b.close();
        a.close();
        assertThat(rest(merge)).containsExactly(0L, 1L);
    }

    @Test
    void onceClosedAWaitingSourceIsToldAndNothingComes() throws InterruptedException {
        TimeMerge<Long> merge = merge(LONG);
        TimeMerge<Long>.Source source = merge.add();
        Thread full = Thread.startVirtualThread(() -> {
            try {
                long t = 0;
                while (source.put(t)) {
                    t++;
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        merge.close();
        full.join();
        assertThat(merge.poll(Duration.ZERO)).isEqualTo(Optional.empty());
    }
}
