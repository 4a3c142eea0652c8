package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.InstanceSpec.Attachment;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Makes, starts, stops and removes instances; whoever calls it holds the service's lock. */
final class Lifecycle {
    static final Duration GRACE = Duration.ofSeconds(10);
    /** So many of a failed instance's last lines go into the message. */
    static final int LOG_TAIL_LINES = 20;

    private static final int MAX_LINE_CHARS = 400;

    private final Name node;
    private final Runtimes runtimes;
    private final NodeView view;
    private final VolumeDirectories volumes;
    private final SecretStore secrets;
    private final PreviousLogs previous;
    private final boolean enforceLimits;
    /** Networks that this agent has seen or made; one that vanished is made again when a creation misses it. */
    private final Set<Network> networks = ConcurrentHashMap.newKeySet();

    Lifecycle(
            Name node,
            Runtimes runtimes,
            NodeView view,
            VolumeDirectories volumes,
            SecretStore secrets,
            PreviousLogs previous,
            boolean enforceLimits) {
        this.secrets = secrets;
        this.previous = previous;
        this.node = node;
        this.runtimes = runtimes;
        this.view = view;
        this.volumes = volumes;
        this.enforceLimits = enforceLimits;
    }

    Set<String> knownNetworks() {
        Set<String> names = ConcurrentHashMap.newKeySet();
        networks.forEach(n -> names.add(n.name()));
        return names;
    }

    void ensureNetwork(Runtime runtime, Network network) {
        runtime.ensureNetwork(network);
        networks.add(network);
    }

    void removeNetwork(Runtime runtime, Network network) {
        networks.remove(network);
        runtime.removeNetwork(network);
    }

    /** Makes an instance with its secrets and its volumes' directories and, where one is missing, its networks. */
    InstanceId create(ComponentId id, Component component, long generation, String digest, String imageId) {
        Runtime runtime = runtimes.of(component.runtime());
        List<Attachment> attachments = attachments(id, component);
        SecretStore.Given given = secrets.give(id, component, digest);
        InstanceSpec spec = new InstanceSpec(
                new Identity(node, id, generation, given.digest()),
                component,
                imageId,
                attachments,
                volumes.prepare(id, component),
                given.values(),
                enforceLimits);
        for (Attachment a : attachments) {
            if (!networks.contains(a.network())) {
                ensureNetwork(runtime, a.network());
            }
        }
        InstanceId made = create(runtime, spec);
        try {
            volumes.give(id, component, () -> runtime.user(made));
        } catch (RuntimeException e) {
            // Left there, it would be started over folders that it cannot write to.
            removeUnused(runtime, made, e);
            throw e;
        }
        return made;
    }

    private static void removeUnused(Runtime runtime, InstanceId made, RuntimeException why) {
        try {
            runtime.remove(made);
        } catch (RuntimeFailure e) {
            why.addSuppressed(e);
        }
    }

    private InstanceId create(Runtime runtime, InstanceSpec spec) {
        try {
            return runtime.create(spec);
        } catch (RuntimeFailure e) {
            if (e.kind() != RuntimeFailure.Kind.NOT_FOUND) {
                throw e;
            }
            spec.networks().forEach(a -> ensureNetwork(runtime, a.network()));
            return runtime.create(spec);
        }
    }

    /** Removes the values of a service's secrets, and returns their names. */
    List<String> forgetSecrets(Name service) {
        return secrets.removeAll(service);
    }

    private static List<Attachment> attachments(ComponentId id, Component component) {
        List<Attachment> all = new ArrayList<>();
        all.add(new Attachment(
                Network.ofService(id.service()), List.of(id.component().value())));
        component.network().ifPresent(n -> all.add(new Attachment(Network.shared(n), List.of(id.canonicalName()))));
        return all;
    }

    /** That its end was asked for is forgotten once it runs again: whatever dies in between, it has not ended by itself. */
    void start(InstanceId instance) {
        runtimes.of(instance).start(instance);
        view.clearStop(instance);
    }

    /** Ends it; that its end is asked for is written down first. */
    void stop(InstanceId instance) {
        view.requestStop(instance);
        runtimes.of(instance).stop(instance, GRACE);
    }

    /** Removes an instance, and keeps the end of its log as long as its component is registered. */
    void retire(ComponentId id, InstanceId instance) {
        boolean stays =
                view.service(id.service()).flatMap(s -> s.find(id.component())).isPresent();
        if (stays) {
            previous.keep(id, runtimes.of(instance), instance);
        }
        remove(instance);
        if (!stays) {
            previous.forget(id);
        }
    }

    /** Forgets what was kept of a service. */
    void forgetLogs(Name service) {
        previous.forget(service);
    }

    void remove(InstanceId instance) {
        runtimes.of(instance).remove(instance);
        view.clearStop(instance);
    }

    Hold.Outcome awaitHeld(InstanceId instance, Component component) {
        try {
            return Hold.await(runtimes.of(instance), instance, component);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Problem.of(Problem.Kind.FAILED, "the agent is ending").exception();
        }
    }

    /** The last lines of an instance's log, as far as they can be had; never fails. */
    List<String> logTail(InstanceId instance) {
        List<String> lines = new ArrayList<>();
        try {
            runtimes.of(instance).logs(instance, LogOptions.lastLines(LOG_TAIL_LINES), new LogSink() {
                @Override
                public void line(Instant time, Stream stream, String text) {
                    if (lines.size() < LOG_TAIL_LINES) {
                        lines.add(text.length() <= MAX_LINE_CHARS ? text : text.substring(0, MAX_LINE_CHARS) + "…");
                    }
                }

                @Override
                public boolean isCancelled() {
                    return false;
                }
            });
        } catch (RuntimeFailure e) {
            lines.add("(its log cannot be read: " + e.getMessage() + ")");
        }
        return lines;
    }
}
