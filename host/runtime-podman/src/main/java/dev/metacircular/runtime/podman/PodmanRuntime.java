package dev.metacircular.runtime.podman;

import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.Exec;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.Runtime;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** The calls are being written; until then each refuses. */
public final class PodmanRuntime implements Runtime {
    private final PodmanOptions options;

    public PodmanRuntime(PodmanOptions options) {
        this.options = options;
    }

    private UnsupportedOperationException pending() {
        return new UnsupportedOperationException("not written yet, for " + options.socket());
    }

    @Override
    public RuntimeKind kind() {
        return RuntimeKind.CONTAINER;
    }

    @Override
    public Availability availability() {
        return new Availability.Unavailable("the podman backend is not written yet");
    }

    @Override
    public Optional<Image> image(ImageRef reference) {
        throw pending();
    }

    @Override
    public List<Image> images() {
        throw pending();
    }

    @Override
    public Image pull(ImageRef reference, PullListener listener) {
        throw pending();
    }

    @Override
    public void ensureNetwork(Network network) {
        throw pending();
    }

    @Override
    public void removeNetwork(Network network) {
        throw pending();
    }

    @Override
    public InstanceId create(InstanceSpec spec) {
        throw pending();
    }

    @Override
    public void start(InstanceId instance) {
        throw pending();
    }

    @Override
    public void stop(InstanceId instance, Duration grace) {
        throw pending();
    }

    @Override
    public void remove(InstanceId instance) {
        throw pending();
    }

    @Override
    public void setAside(InstanceId instance) {
        throw pending();
    }

    @Override
    public void bringBack(InstanceId instance) {
        throw pending();
    }

    @Override
    public Optional<Instance> inspect(InstanceId instance) {
        throw pending();
    }

    @Override
    public List<Instance> list() {
        throw pending();
    }

    @Override
    public List<Instance> listAll() {
        throw pending();
    }

    @Override
    public void logs(InstanceId instance, LogOptions options, LogSink sink) {
        throw pending();
    }

    @Override
    public ProbeResult probe(InstanceId instance, HealthCheck check, Duration timeout) {
        throw pending();
    }

    @Override
    public Optional<Exec> exec() {
        return Optional.empty();
    }

    @Override
    public Optional<Events> events() {
        return Optional.empty();
    }

    @Override
    public void close() {}
}
