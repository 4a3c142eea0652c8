package dev.metacircular.oci;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.oci.OciException.Kind;
import java.net.URI;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/** Requests to one registry: where it is, who asks, redirects, and what is worth a second try. */
final class Requests implements AutoCloseable {
    private static final int MAX_REDIRECTS = 5;
    private static final int MAX_TRIES = 3;
    private static final Duration PAUSE = Duration.ofMillis(500);
    private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
    private static final Set<Integer> PASSING = Set.of(429, 502, 503, 504);
    private static final int MAX_ERROR_BYTES = 1 << 14;

    private final String registry;
    private final Access access;
    private final Transport transport;
    private final Authorization authorization;
    private volatile Optional<URI> base = Optional.empty();

    Requests(String registry, Access access, Deadlines deadlines) {
        this.registry = registry;
        this.access = access;
        this.transport = new Transport(access, deadlines);
        this.authorization = new Authorization(registry, access, transport);
    }

    /**
     * A request.
     *
     * @param target a path of the registry's, or a whole URI
     * @param actions what a token for it must allow
     */
    record Call(
            String purpose,
            String method,
            String target,
            String repository,
            String actions,
            Map<String, String> headers,
            Function<Runnable, HttpRequest.BodyPublisher> body) {
        Call(String purpose, String method, String target, String repository, String actions) {
            this(purpose, method, target, repository, actions, Map.of(), _ -> HttpRequest.BodyPublishers.noBody());
        }

        Call with(String name, String value) {
            Map<String, String> more = new HashMap<>(headers);
            more.put(name, value);
            return new Call(purpose, method, target, repository, actions, more, body);
        }

        Call sending(Function<Runnable, HttpRequest.BodyPublisher> other) {
            return new Call(purpose, method, target, repository, actions, headers, other);
        }

        private boolean reads() {
            return method.equals("GET") || method.equals("HEAD");
        }
    }

    /** Sends it, with an answer that is neither a redirect nor a request for credentials that are there. */
    Transport.Answer send(Call call, long end) {
        URI home = base(call.purpose(), end);
        URI uri = home.resolve(call.target());
        boolean challenged = false;
        int redirects = 0;
        int tries = 1;
        while (true) {
            Map<String, String> headers = new HashMap<>(call.headers());
            if (Transport.origin(uri).equals(Transport.origin(home))) {
                authorization
                        .known(call.repository(), call.actions())
                        .ifPresent(header -> headers.put("Authorization", header));
            }
            Transport.Answer answer =
                    transport.send(call.purpose(), new Transport.Call(call.method(), uri, headers, call.body()), end);
            boolean handedOn = false;
            try {
                if (answer.status() == 401 && !challenged) {
                    challenged = true;
                    if (authorization.answer(
                            call.purpose(),
                            call.repository(),
                            call.actions(),
                            answer.headers("WWW-Authenticate"),
                            end)) {
                        continue;
                    }
                } else if (REDIRECTS.contains(answer.status()) && call.reads() && redirects < MAX_REDIRECTS) {
                    redirects++;
                    uri = location(call.purpose(), answer);
                    continue;
                } else if (PASSING.contains(answer.status()) && call.reads() && tries < MAX_TRIES) {
                    pause(call.purpose(), PAUSE.multipliedBy(tries++), end);
                    continue;
                }
                handedOn = true;
                return answer;
            } finally {
                if (!handedOn) {
                    answer.close();
                }
            }
        }
    }

    /** Where the registry is. One that is called insecure may speak TLS or not, which the first call finds out. */
    private URI base(String purpose, long end) {
        Optional<URI> known = base;
        if (known.isPresent()) {
            return known.get();
        }
        String host = registry.equals("docker.io") ? "registry-1.docker.io" : registry;
        URI tls = Optional.of(host)
                .flatMap(Requests::withTls)
                .orElseThrow(() -> new OciException(
                        Kind.INVALID,
                        "cannot %s: '%s' is no host of a registry".formatted(purpose, OneLine.of(registry))));
        URI found = access.insecure() ? plainOr(tls, purpose, end) : tls;
        base = Optional.of(found);
        return found;
    }

    /** Empty if that is no host; a URI takes some as a mere authority, of which no request can be made. */
    private static Optional<URI> withTls(String host) {
        try {
            return Optional.of(URI.create("https://" + host)).filter(uri -> uri.getHost() != null);
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** A server that speaks TLS answers plain HTTP with 400, a way to TLS, or nothing. */
    private URI plainOr(URI tls, String purpose, long end) {
        URI plain = URI.create("http://" + tls.getRawAuthority());
        Transport.Call call = new Transport.Call("GET", plain.resolve("/v2/"), Map.of());
        try (Transport.Answer answer = transport.send(purpose, call, end)) {
            return answer.status() == 400 || REDIRECTS.contains(answer.status()) ? tls : plain;
        } catch (OciException e) {
            if (e.kind() == Kind.UNREACHABLE) {
                return tls;
            }
            throw e;
        }
    }

    /** Where an answer leads, which may not leave TLS. */
    URI location(String purpose, Transport.Answer answer) {
        String text = answer.header("Location").orElse("");
        try {
            URI uri = answer.uri().resolve(text);
            boolean safe = "https".equals(uri.getScheme()) || (access.insecure() && "http".equals(uri.getScheme()));
            if (!text.isEmpty() && safe && uri.getHost() != null) {
                return uri;
            }
        } catch (IllegalArgumentException e) {
            // Said below.
        }
        throw new OciException(
                Kind.INVALID,
                "cannot %s: %s leads to '%s', which is no usable place".formatted(purpose, registry, OneLine.of(text)));
    }

    private static void pause(String purpose, Duration pause, long end) {
        try {
            Thread.sleep(Duration.ofNanos(Math.clamp(end - System.nanoTime(), 0, pause.toNanos())));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new OciException(Kind.FAILED, "cannot " + purpose + ": it was interrupted", e);
        }
    }

    /** @throws OciException unless the answer has one of these statuses */
    void require(String purpose, Transport.Answer answer, Integer... statuses) {
        int status = answer.status();
        if (Set.of(statuses).contains(status)) {
            return;
        }
        String why = "%s answers HTTP %d%s".formatted(registry, status, message(purpose, answer));
        Kind kind = switch (status) {
            case 401, 403 -> Kind.DENIED;
            case 404 -> Kind.NOT_FOUND;
            case 400, 413, 416 -> Kind.INVALID;
            default -> Kind.FAILED;
        };
        String hint = kind == Kind.DENIED && access.authFile().isEmpty() ? ", and no credentials are set for it" : "";
        throw new OciException(kind, "cannot %s: %s%s".formatted(purpose, why, hint));
    }

    private static String message(String purpose, Transport.Answer answer) {
        try {
            JsonNode error = Documents.json("the error", answer.read(purpose, MAX_ERROR_BYTES))
                    .path("errors")
                    .path(0);
            String text = error.path("message").asText(error.path("code").asText(""));
            return text.isEmpty() ? "" : " (" + OneLine.of(text) + ")";
        } catch (OciException e) {
            return "";
        }
    }

    @Override
    public void close() {
        transport.close();
    }
}
