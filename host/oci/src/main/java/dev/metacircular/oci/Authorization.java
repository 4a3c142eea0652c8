package dev.metacircular.oci;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.oci.OciException.Kind;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

/** The header {@code Authorization} of each request: none until the registry asks, then what it asks for. */
final class Authorization {
    private static final int MAX_TOKEN_ANSWER_BYTES = 1 << 18;

    private final String registry;
    private final Access access;
    private final Transport transport;
    /** By repository and action. */
    private final Map<String, String> headers = new ConcurrentHashMap<>();

    Authorization(String registry, Access access, Transport transport) {
        this.registry = registry;
        this.access = access;
        this.transport = transport;
    }

    /** What a call of this kind has been given before. */
    Optional<String> known(String repository, String actions) {
        return Optional.ofNullable(headers.get(repository + " " + actions));
    }

    /**
     * Answers a refusal.
     *
     * @return whether there is something new to try
     */
    boolean answer(String purpose, String repository, String actions, List<String> refusal, long end) {
        Optional<Challenge> challenge = Challenge.of(refusal);
        if (challenge.isEmpty()) {
            return false;
        }
        Optional<Credentials> credentials =
                access.authFile().flatMap(file -> Credentials.find(file, registry, repository));
        Optional<String> header = challenge.get().scheme().equals("bearer")
                ? Optional.of("Bearer " + token(purpose, challenge.get(), repository, actions, credentials, end))
                : credentials.flatMap(c -> switch (c) {
                    case Credentials.Password password -> Optional.of(password.header());
                    case Credentials.IdentityToken _ -> Optional.empty();
                });
        if (header.isEmpty()) {
            return false;
        }
        String before = headers.put(repository + " " + actions, header.get());
        return !header.get().equals(before);
    }

    private String token(
            String purpose,
            Challenge challenge,
            String repository,
            String actions,
            Optional<Credentials> credentials,
            long end) {
        URI realm;
        try {
            realm = URI.create(challenge.parameter("realm"));
        } catch (IllegalArgumentException e) {
            throw refused(purpose, "it names no usable place for tokens");
        }
        if (realm.getHost() == null
                || !("https".equals(realm.getScheme()) || (access.insecure() && "http".equals(realm.getScheme())))) {
            throw refused(
                    purpose, "it wants the credentials sent to " + OneLine.of(realm.toString()) + ", which is not TLS");
        }
        Map<String, String> form = new LinkedHashMap<>();
        if (!challenge.parameter("service").isEmpty()) {
            form.put("service", challenge.parameter("service"));
        }
        form.put("scope", "repository:" + repository + ":" + actions);
        Transport.Call call = credentials
                .map(c -> switch (c) {
                    case Credentials.Password password -> get(realm, form, Map.of("Authorization", password.header()));
                    case Credentials.IdentityToken identity -> {
                        form.put("grant_type", "refresh_token");
                        form.put("client_id", "metacircular");
                        form.put("refresh_token", identity.token());
                        yield new Transport.Call(
                                "POST",
                                realm,
                                Map.of("Content-Type", "application/x-www-form-urlencoded"),
                                _ -> HttpRequest.BodyPublishers.ofString(encoded(form)));
                    }
                })
                .orElseGet(() -> get(realm, form, Map.of()));
        try (Transport.Answer answer = transport.send(purpose, call, end)) {
            byte[] body = answer.read(purpose, MAX_TOKEN_ANSWER_BYTES);
            if (answer.status() == 401 || answer.status() == 403 || answer.status() == 400) {
                throw refused(purpose, "it gives no token for these credentials (HTTP " + answer.status() + ")");
            }
            if (answer.status() != 200) {
                throw new OciException(
                        Kind.FAILED,
                        "cannot %s: %s answers HTTP %d".formatted(purpose, Transport.origin(realm), answer.status()));
            }
            JsonNode json = Documents.json("the token for " + registry, body);
            return Documents.text(json, "token")
                    .or(() -> Documents.text(json, "access_token"))
                    .filter(token -> token.chars().allMatch(c -> c > 0x20 && c < 0x7f))
                    .orElseThrow(() -> refused(purpose, "its answer holds no token"));
        }
    }

    private static Transport.Call get(URI realm, Map<String, String> form, Map<String, String> headers) {
        String separator = realm.getRawQuery() == null ? "?" : "&";
        return new Transport.Call("GET", URI.create(realm + separator + encoded(form)), new HashMap<>(headers));
    }

    private static String encoded(Map<String, String> form) {
        return form.entrySet().stream()
                .map(e -> e.getKey() + "=" + URLEncoder.encode(e.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
    }

    private OciException refused(String purpose, String why) {
        return new OciException(Kind.DENIED, "cannot %s: %s refuses: %s".formatted(purpose, registry, why));
    }
}
