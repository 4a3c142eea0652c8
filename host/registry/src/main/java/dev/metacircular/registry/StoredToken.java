package dev.metacircular.registry;

import java.time.Instant;

/** An operator's token; the token itself is not kept, only its SHA-256 in hex. */
public record StoredToken(String name, String role, String sha256, Instant createdAt) {}
