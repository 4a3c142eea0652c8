package dev.metacircular.registry;

import java.time.Instant;

/** That, at a start, a snapshot took the place of a damaged registry. */
public record Loss(Instant noticedAt, Restored restored) {}
