package dev.metacircular.model;

import java.time.Instant;

/** An instance's state as its runtime tells it. */
public sealed interface InstanceState {
    /** Made, never started. */
    record Created() implements InstanceState {}

    record Running(Instant startedAt) implements InstanceState {}

    /** Ended, whoever asked. */
    record Ended(int exitStatus, Instant startedAt, Instant endedAt) implements InstanceState {}

    /** The runtime knows the instance and cannot tell its state (in between, paused by hand, or damaged). */
    record Unclear(String runtimeState) implements InstanceState {}
}
