package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Identity;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.Exec;
import dev.metacircular.runtime.Foreign;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.Usage;
import dev.metacircular.runtime.UserIds;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A backend in whose listings an adopted instance has the identity that the registry gives it, so that everybody else sees it as any
 * other: it is listed, watched, stopped, set aside and replaced.
 */
final class AdoptingRuntime implements Runtime {
    private final Runtime backend;
    private final Name node;
    private final NodeView view;

    AdoptingRuntime(Runtime backend, Name node, NodeView view) {
        this.backend = backend;
        this.node = node;
        this.view = view;
    }

    private Instance known(Instance instance) {
        Optional<Identity> adopted = instance.identity().isPresent() ? Optional.empty() : view.adopted(instance.id());
        return adopted.map(identity -> new Instance(
                        instance.id(),
                        instance.name(),
                        adopted,
                        instance.image(),
                        instance.imageId(),
                        instance.state(),
                        instance.createdAt(),
                        instance.ports(),
                        instance.name().equals(asideName(identity))))
                .orElse(instance);
    }

    private static String asideName(Identity identity) {
        return identity.component().canonicalName() + ".g" + identity.generation();
    }

    @Override
    public List<Instance> list() {
        return view.hasAdopted() ? ours(listAll()) : backend.list();
    }

    @Override
    public List<Instance> look() {
        return view.hasAdopted() ? ours(lookAll()) : backend.look();
    }

    private List<Instance> ours(List<Instance> all) {
        List<Instance> ours = all.stream()
                .filter(i -> i.identity().filter(d -> d.node().equals(node)).isPresent())
                .toList();
        view.dropReplaced(kind(), ours);
        return ours;
    }

    @Override
    public List<Instance> lookAll() {
        return backend.lookAll().stream().map(this::known).toList();
    }

    @Override
    public List<Instance> list(Name service) {
        // What was adopted bears no labels by which the backend could tell it.
        return view.hasAdopted() ? Runtime.super.list(service) : backend.list(service);
    }

    @Override
    public Optional<Instance> named(String name) {
        return backend.named(name).map(this::known);
    }

    @Override
    public List<Instance> listAll() {
        return backend.listAll().stream().map(this::known).toList();
    }

    @Override
    public Optional<Instance> inspect(InstanceId instance) {
        return backend.inspect(instance).map(this::known);
    }

    @Override
    public void remove(InstanceId instance) {
        backend.remove(instance);
        view.dropAdopted(instance);
    }

    @Override
    public void setAside(InstanceId instance) {
        Optional<Identity> adopted = view.adopted(instance);
        if (adopted.isPresent()) {
            takeOver().rename(instance, asideName(adopted.get()));
        } else {
            backend.setAside(instance);
        }
    }

    @Override
    public void bringBack(InstanceId instance) {
        Optional<Identity> adopted = view.adopted(instance);
        if (adopted.isPresent()) {
            takeOver().rename(instance, adopted.get().component().canonicalName());
        } else {
            backend.bringBack(instance);
        }
    }

    private Foreign takeOver() {
        return backend.foreign()
                .orElseThrow(() -> new RuntimeFailure(
                        RuntimeFailure.Kind.UNSUPPORTED, kind() + "s that others made cannot be taken over"));
    }

    @Override
    public RuntimeKind kind() {
        return backend.kind();
    }

    @Override
    public Availability availability() {
        return backend.availability();
    }

    @Override
    public Optional<Image> image(ImageRef reference) {
        return backend.image(reference);
    }

    @Override
    public List<Image> images() {
        return backend.images();
    }

    @Override
    public Image pull(ImageRef reference, PullListener listener) {
        Optional<String> before = backend.image(reference).map(Image::id);
        Image image = backend.pull(reference, listener);
        // What was there already is somebody else's.
        if (!reference.isLocal() && before.filter(image.id()::equals).isEmpty()) {
            view.recordPulled(kind(), image.id(), reference);
        }
        return image;
    }

    @Override
    public boolean removeImage(Image image) {
        return backend.removeImage(image);
    }

    @Override
    public void ensureNetwork(Network network) {
        backend.ensureNetwork(network);
    }

    @Override
    public void removeNetwork(Network network) {
        backend.removeNetwork(network);
    }

    @Override
    public Optional<String> refusal(Component component) {
        return backend.refusal(component);
    }

    @Override
    public Optional<String> unenforceable(Component component) {
        return backend.unenforceable(component);
    }

    @Override
    public InstanceId create(InstanceSpec spec) {
        return backend.create(spec);
    }

    @Override
    public void start(InstanceId instance) {
        backend.start(instance);
    }

    @Override
    public void stop(InstanceId instance, Duration grace) {
        backend.stop(instance, grace);
    }

    @Override
    public void logs(InstanceId instance, LogOptions options, LogSink sink) {
        backend.logs(instance, options, sink);
    }

    @Override
    public Optional<UserIds> user(InstanceId instance) {
        return backend.user(instance);
    }

    @Override
    public Map<InstanceId, Usage> usage() {
        return backend.usage();
    }

    @Override
    public List<Obstacle> obstacles() {
        return backend.obstacles();
    }

    @Override
    public ProbeResult probe(InstanceId instance, HealthCheck check, Duration timeout) {
        return backend.probe(instance, check, timeout);
    }

    @Override
    public Optional<Exec> exec() {
        return backend.exec();
    }

    @Override
    public Optional<Foreign> foreign() {
        return backend.foreign();
    }

    @Override
    public Optional<Events> events() {
        return backend.events();
    }

    @Override
    public void collect() {
        backend.collect();
    }

    @Override
    public List<String> heal() {
        return backend.heal();
    }

    @Override
    public void close() {
        backend.close();
    }
}
