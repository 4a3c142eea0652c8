package dev.metacircular.agent;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.Parser;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.ErrorDetail;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.registry.Registry;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * Does a mutating call once: one that is repeated with the same key, by the same caller, within a day gets the first one's outcome. A call
 * that was refused because something else held the service has no outcome and may be repeated.
 */
final class Outcomes {
    private static final int MAX_KEY_CHARS = 128;
    private static final byte DONE = 0;
    private static final byte FAILED = 1;

    private final Registry registry;
    private final Set<String> inFlight = ConcurrentHashMap.newKeySet();

    Outcomes(Registry registry) {
        this.registry = registry;
    }

    /**
     * Does the work, or gives its earlier outcome.
     *
     * @throws ProblemException the work's own, {@code INVALID} for a bad key, {@code LOCKED} while the first call is still under way
     */
    <R extends Message> R once(Caller caller, String key, String method, Parser<R> parser, Supplier<R> work) {
        return once(caller, key, method, parser, work, response -> response);
    }

    /** @param kept what is kept of the response, such as all of it but a secret */
    <R extends Message> R once(
            Caller caller,
            String key,
            String method,
            Parser<R> parser,
            Supplier<R> work,
            java.util.function.UnaryOperator<R> kept) {
        if (key.isEmpty() || key.length() > MAX_KEY_CHARS) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            "the call needs an idempotency key of 1 to " + MAX_KEY_CHARS + " characters")
                    .exception();
        }
        String mark = caller.token() + "\n" + key;
        if (!inFlight.add(mark)) {
            throw Problem.of(Problem.Kind.LOCKED, "the call with this idempotency key is still under way")
                    .next("wait for its end, then repeat it with the same key to learn its outcome")
                    .exception();
        }
        try {
            Optional<byte[]> earlier = registry.outcomes().find(caller.token(), key, method);
            if (earlier.isPresent()) {
                return replay(earlier.get(), parser);
            }
            R response;
            try {
                response = work.get();
            } catch (ProblemException e) {
                if (e.problem().kind() != Problem.Kind.LOCKED) {
                    record(caller, key, method, FAILED, Problems.toMessage(e.problem()));
                }
                throw e;
            }
            record(caller, key, method, DONE, kept.apply(response));
            return response;
        } finally {
            inFlight.remove(mark);
        }
    }

    private void record(Caller caller, String key, String method, byte kind, Message message) {
        byte[] body = message.toByteArray();
        byte[] content = new byte[body.length + 1];
        content[0] = kind;
        System.arraycopy(body, 0, content, 1, body.length);
        registry.outcomes().record(caller.token(), key, method, content);
    }

    private static <R extends Message> R replay(byte[] content, Parser<R> parser) {
        try {
            byte[] body = Arrays.copyOfRange(content, 1, content.length);
            if (content[0] == FAILED) {
                throw Problems.fromMessage(ErrorDetail.parseFrom(body)).exception();
            }
            return parser.parseFrom(body);
        } catch (InvalidProtocolBufferException e) {
            throw new IllegalStateException("a kept outcome cannot be read", e);
        }
    }
}
