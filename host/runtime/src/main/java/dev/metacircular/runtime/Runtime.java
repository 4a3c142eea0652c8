package dev.metacircular.runtime;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A backend that runs instances of components on this node.
 *
 * <p>Every call ends within a deadline of the backend's own, however its daemon behaves (refusing, hanging, answering a
 * byte a second), with a {@link RuntimeFailure} whose kind says what happened; a stream ends when nothing has arrived
 * within its idle bound and the daemon no longer answers. Calls may be made from any number of threads. No call holds a lock across its
 * daemon's answer. Nothing that runs is a child of this process: instances outlive it.
 *
 * <p>Instances are identified by their ID and known by their {@link dev.metacircular.model.Identity} labels, never by their names.
 */
public interface Runtime extends AutoCloseable {
    RuntimeKind kind();

    /** Asks the backend whether it can serve; answers within two seconds, and does not throw. */
    Availability availability();

    /** The image as this node has it, without looking elsewhere. */
    Optional<Image> image(ImageRef reference);

    /** All images that this node has. */
    List<Image> images();

    /**
     * Brings the image to this node from its registry. A {@code localhost/…} image is never looked up elsewhere.
     *
     * @throws RuntimeFailure {@code NOT_FOUND} if neither has it, {@code DENIED} if the registry refuses
     */
    Image pull(ImageRef reference, PullListener listener);

    /**
     * Takes an image from this node, with all the names of it that are given here, unless it has others or something was made from it;
     * idempotent.
     *
     * @return whether it is gone
     */
    default boolean removeImage(Image image) {
        return false;
    }

    /** Makes the network if it does not exist; idempotent. */
    void ensureNetwork(Network network);

    /** Removes the network if it exists and nothing uses it; idempotent. */
    void removeNetwork(Network network);

    /**
     * Why this backend cannot run the component on this node, whatever its image; empty if it can, or cannot say before it has tried. Asked
     * of a backend that is available, before anything is changed.
     */
    default Optional<String> refusal(Component component) {
        return Optional.empty();
    }

    /** Which of the component's resource limits cannot be enforced on this node, and why; empty if all can. */
    default Optional<String> unenforceable(Component component) {
        return Optional.empty();
    }

    /**
     * Makes an instance with its canonical name, not started. Idempotent for the same identity: an instance that bears the same
     * service, component, generation and document digest is returned instead of a second one.
     *
     * @throws RuntimeFailure {@code CONFLICT} if the canonical name is taken by another instance
     */
    InstanceId create(InstanceSpec spec);

    /**
     * Starts it; idempotent while it runs.
     *
     * @throws RuntimeFailure {@code PORT_TAKEN} if a published port is taken, {@code NOT_FOUND} if there is no such instance
     */
    void start(InstanceId instance);

    /**
     * Asks it to end, and ends it by force after the grace period; idempotent, also when it has ended.
     *
     * @throws RuntimeFailure {@code NOT_FOUND} if there is no such instance
     */
    void stop(InstanceId instance, Duration grace);

    /** Ends it by force if it runs and removes it with its anonymous storage; idempotent, also when there is none. */
    void remove(InstanceId instance);

    /** Takes the canonical name from the instance, which goes on as it is and can be started again; idempotent. */
    void setAside(InstanceId instance);

    /** Gives the canonical name back; idempotent. */
    void bringBack(InstanceId instance);

    Optional<Instance> inspect(InstanceId instance);

    /** All instances that bear the node's identity labels, running or not, with the given node name. */
    List<Instance> list();

    /** Those of one service; a backend may answer sooner than {@link #list()}, for it need not look at what is busy elsewhere. */
    default List<Instance> list(Name service) {
        return list().stream()
                .filter(i -> i.identity()
                        .filter(d -> d.component().service().equals(service))
                        .isPresent())
                .toList();
    }

    /** Who holds this name, whatever its labels. */
    default Optional<Instance> named(String name) {
        return listAll().stream().filter(i -> i.name().equals(name)).findFirst();
    }

    /** All instances whatever their labels, for adoption and for finding who holds a name. */
    List<Instance> listAll();

    /** As {@link #list}, for showing: does not wait for a listing that is under way for somebody else. */
    default List<Instance> look() {
        return list();
    }

    /** As {@link #listAll}, for showing. */
    default List<Instance> lookAll() {
        return listAll();
    }

    /** Delivers log lines until the end of the log, or, following, until the instance ends or the sink is cancelled. */
    void logs(InstanceId instance, LogOptions options, LogSink sink);

    /** Who the instance's command runs as, by its image and its specification; empty where the backend cannot tell. */
    default Optional<UserIds> user(InstanceId instance) {
        return Optional.empty();
    }

    /**
     * What those that run take now, in one question; one that is missing was not measured.
     *
     * @throws RuntimeFailure {@code UNSUPPORTED} if nothing can be measured on this node, with the reason
     */
    default Map<InstanceId, Usage> usage() {
        throw new RuntimeFailure(RuntimeFailure.Kind.UNSUPPORTED, "this backend measures nothing");
    }

    /** What is known to keep instances from running on this node, or from running as they could; asks the backend. */
    default List<Obstacle> obstacles() {
        return List.of();
    }

    /** One try of a check against the component's own ports or inside it; waits at most the time-out. */
    ProbeResult probe(InstanceId instance, HealthCheck check, Duration timeout);

    /** Running a command inside an instance, where this backend can. */
    Optional<Exec> exec();

    /** Taking over instances that this system did not make, where this backend can. */
    default Optional<Foreign> foreign() {
        return Optional.empty();
    }

    /** Changes of instances as they happen, where this backend can tell them. */
    Optional<Events> events();

    /** Takes away what instances that are gone have left in the backend, such as copies of their secrets; for an agent's start. */
    default void collect() {}

    /** Mends what the backend's own faults have left and harms what runs; for every minute. Returns what was mended since the last time, in a line each. */
    default List<String> heal() {
        return List.of();
    }

    @Override
    void close();
}
