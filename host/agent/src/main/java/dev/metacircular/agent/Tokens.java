package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.registry.Registry;
import dev.metacircular.registry.StoredToken;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** The node's bearer tokens: 256 random bits each, of which only the SHA-256 is kept. */
final class Tokens {
    private static final String PREFIX = "mct_";
    private static final int TOKEN_BYTES = 32;

    private final Registry registry;
    private final Clock clock;
    private volatile List<Known> known;
    private volatile Consumer<String> whenRevoked = _ -> {};

    private record Known(String name, Role role, String sha256) {}

    Tokens(Registry registry, Clock clock) {
        this.registry = registry;
        this.clock = clock;
        this.known = load();
    }

    private List<Known> load() {
        return registry.tokens().stream()
                .map(t -> new Known(t.name(), Role.parse(t.role()).orElse(Role.VIEWER), t.sha256()))
                .toList();
    }

    /** Whose token this is; compares with every known one in constant time. */
    Optional<Caller> find(String token) {
        byte[] digest = sha256(token).getBytes(StandardCharsets.US_ASCII);
        Optional<Caller> found = Optional.empty();
        for (Known k : known) {
            if (MessageDigest.isEqual(k.sha256.getBytes(StandardCharsets.US_ASCII), digest)) {
                found = Optional.of(new Caller(k.name, k.role));
            }
        }
        return found;
    }

    List<StoredToken> list() {
        return registry.tokens();
    }

    /** Makes a token; it is not kept anywhere, so the caller shows it now or never. */
    synchronized String add(String name, Role role) {
        if (!Name.isValid(name)) {
            throw Problem.of(Problem.Kind.INVALID, "'" + name + "' is not a token's name: expected " + Name.EXPECTED)
                    .exception();
        }
        String token = generate();
        registry.addToken(new StoredToken(name, role.toString(), sha256(token), clock.instant()));
        known = load();
        return token;
    }

    /** It is refused from now on, and what goes on by it is told to end. */
    void revoke(String name) {
        synchronized (this) {
            registry.revokeToken(name);
            known = load();
        }
        whenRevoked.accept(name);
    }

    /** @param listener gets the names of tokens that were revoked */
    void whenRevoked(Consumer<String> listener) {
        whenRevoked = listener;
    }

    private static String generate() {
        byte[] random = new byte[TOKEN_BYTES];
        new SecureRandom().nextBytes(random);
        return PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(random);
    }

    private static String sha256(String token) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            return HexFormat.of().formatHex(digest.digest(token.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
