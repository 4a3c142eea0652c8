package dev.metacircular.runtime;

final class FakeRuntimeStreamsTest extends RuntimeStreamsConformance {
    private final FakeConformanceBackend backend = new FakeConformanceBackend();

    @Override
    protected ConformanceBackend backend() {
        return backend;
    }
}
