package dev.metacircular.runtime;

final class FakeRuntimeTest extends RuntimeConformance {
    private final FakeConformanceBackend backend = new FakeConformanceBackend();

    @Override
    protected ConformanceBackend backend() {
        return backend;
    }
}
