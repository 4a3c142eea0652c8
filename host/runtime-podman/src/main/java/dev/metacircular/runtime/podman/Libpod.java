package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Calls of libpod's API and what their answers mean. */
final class Libpod implements AutoCloseable {
    private static final String API = "/v4.0.0/libpod";
    /** A listing takes about 2 KB for each container or image. */
    private static final int MAX_ANSWER_BYTES = 64 << 20;

    private static final int MAX_FILE_BYTES = 1 << 20;

    private static final Duration PING = Duration.ofSeconds(2);

    private static final Pattern SERVER = Pattern.compile("Libpod/([0-9][0-9.]*).*");

    private final UnixHttp http;
    private final PodmanDeadlines deadlines;

    Libpod(UnixHttp http, PodmanDeadlines deadlines) {
        this.http = http;
        this.deadlines = deadlines;
    }

    /** A path below libpod's API; {@code {}} stands for the next argument, encoded. */
    static String path(String pattern, String... arguments) {
        String path = API + pattern;
        for (String argument : arguments) {
            path = path.replaceFirst("\\{}", encode(argument));
        }
        return path;
    }

    static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    PodmanDeadlines deadlines() {
        return deadlines;
    }

    /** A query that changes nothing: where it is not answered properly, nothing is known. */
    JsonNode read(Request request) {
        return read(request, deadlines.list());
    }

    JsonNode read(Request request, Duration deadline) {
        return success(request, deadline).json();
    }

    /** As {@link #read(Request)}, before anything is made of it. */
    byte[] readBytes(Request request) {
        return success(request, deadlines.list()).bytes();
    }

    private Answer success(Request request, Duration deadline) {
        Answer answer = http.call(request, deadline, MAX_ANSWER_BYTES);
        if (answer.status() >= 500) {
            RuntimeFailure failure = failure(request, answer);
            throw new RuntimeFailure(Kind.UNREACHABLE, message(failure), failure);
        }
        return required(request, answer);
    }

    private static Answer required(Request request, Answer answer) {
        if (!answer.isSuccess()) {
            throw failure(request, answer);
        }
        return answer;
    }

    /** A file of a container's, as an archive. */
    byte[] file(Request request) {
        return required(request, http.call(request, deadlines.list(), MAX_FILE_BYTES))
                .bytes();
    }

    Answer change(Request request) {
        return change(request, deadlines.call());
    }

    /** Any answer, for the caller to judge. */
    Answer change(Request request, Duration deadline) {
        return http.call(request, deadline, MAX_ANSWER_BYTES);
    }

    Exchange open(Request request, Duration deadline) {
        return http.open(request, deadline);
    }

    /**
     * Asks whether podman's service answers, within two seconds, or the deadline of listing if that is less.
     *
     * @return podman's version as its service tells it, empty if it does not
     */
    String ping() {
        Duration limit = PING.compareTo(deadlines.list()) < 0 ? PING : deadlines.list();
        Request request = Request.get("ask podman", path("/_ping"));
        try (Exchange exchange = http.open(request, limit)) {
            if (exchange.status() != 200) {
                throw new RuntimeFailure(
                        Kind.UNREACHABLE, "cannot ask podman: it answers with status " + exchange.status());
            }
            Matcher version = SERVER.matcher(exchange.server());
            return version.matches() ? version.group(1) : "";
        }
    }

    static String message(RuntimeException failure) {
        return failure.getMessage() == null ? failure.toString() : failure.getMessage();
    }

    /** What an answer that is no success means. Podman answers most of what goes wrong with status 500 and a message. */
    static RuntimeFailure failure(Request request, Answer answer) {
        return new RuntimeFailure(kind(answer), "cannot " + request.purpose() + ": " + answer.message());
    }

    /** Parts of messages of podman, netavark, rootlessport, crun and runc, the more telling ones first. */
    private static final Map<String, Kind> TELLING = ordered(
            Map.entry("address already in use", Kind.PORT_TAKEN),
            Map.entry("cgroups in hybrid mode not supported", Kind.UNSUPPORTED),
            Map.entry("no space left on device", Kind.EXHAUSTED),
            Map.entry("disk quota exceeded", Kind.EXHAUSTED),
            Map.entry("too many open files", Kind.EXHAUSTED),
            Map.entry("name is already in use", Kind.CONFLICT),
            Map.entry("name already used", Kind.CONFLICT),
            Map.entry("container state improper", Kind.CONFLICT),
            Map.entry("image not known", Kind.NOT_FOUND),
            Map.entry("no such image", Kind.NOT_FOUND),
            Map.entry("network not found", Kind.NOT_FOUND),
            Map.entry("oci permission denied", Kind.INVALID),
            Map.entry("oci runtime attempted to invoke", Kind.INVALID),
            Map.entry("executable file", Kind.INVALID),
            Map.entry("oci runtime error", Kind.INVALID),
            Map.entry("unable to find user", Kind.INVALID),
            Map.entry("statfs", Kind.INVALID));

    @SafeVarargs
    private static Map<String, Kind> ordered(Map.Entry<String, Kind>... entries) {
        Map<String, Kind> map = new LinkedHashMap<>();
        for (Map.Entry<String, Kind> entry : entries) {
            map.put(entry.getKey(), entry.getValue());
        }
        return map;
    }

    private static Kind kind(Answer answer) {
        String message = answer.message().toLowerCase(Locale.ROOT);
        for (Map.Entry<String, Kind> part : TELLING.entrySet()) {
            if (message.contains(part.getKey())) {
                return part.getValue();
            }
        }
        return switch (answer.status()) {
            case 400 -> Kind.INVALID;
            case 401, 403 -> Kind.DENIED;
            case 404 -> answer.isPodmansError() ? Kind.NOT_FOUND : Kind.UNREACHABLE;
            case 409 -> Kind.CONFLICT;
            default -> answer.isPodmansError() ? Kind.FAILED : Kind.UNREACHABLE;
        };
    }

    @Override
    public void close() {
        http.close();
    }
}
