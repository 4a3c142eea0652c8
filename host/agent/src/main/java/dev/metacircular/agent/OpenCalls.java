package dev.metacircular.agent;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The calls under way that last longer than an answer takes, by the name of the token that they were made with. */
final class OpenCalls {
    private final Map<String, Set<Open>> byToken = new ConcurrentHashMap<>();

    /** A call that can be cut off. */
    interface Open {
        void revoke();
    }

    /** Takes note of a call, and gives what forgets it again. */
    interface Registration {
        Registration NONE = _ -> () -> {};

        Runnable add(Open call);
    }

    Registration of(String token) {
        return call -> {
            byToken.compute(token, (_, calls) -> {
                Set<Open> all = calls == null ? ConcurrentHashMap.newKeySet() : calls;
                all.add(call);
                return all;
            });
            return () -> byToken.computeIfPresent(token, (_, calls) -> {
                calls.remove(call);
                return calls.isEmpty() ? null : calls;
            });
        };
    }

    void revoke(String token) {
        List.copyOf(byToken.getOrDefault(token, Set.of())).forEach(Open::revoke);
    }
}
