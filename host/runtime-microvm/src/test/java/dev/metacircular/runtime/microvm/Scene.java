package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Network;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BooleanSupplier;

/** A service with a network of its own on a node; gone when it is closed. */
final class Scene implements AutoCloseable {
    static final Duration SOON = Duration.ofSeconds(40);

    private final MicrovmNode node;
    private final Name service =
            Name.of("t%08x".formatted(ThreadLocalRandom.current().nextInt()));

    Scene(MicrovmNode node) {
        this.node = node;
        runtime().ensureNetwork(network());
    }

    MicrovmRuntime runtime() {
        return node.runtime();
    }

    Network network() {
        return Network.ofService(service);
    }

    Component.Builder component(String name, String... command) {
        return Component.builder(name, node.image().toString())
                .runtime(RuntimeKind.UNIKERNEL)
                .memoryMb(32)
                .command(List.of(command));
    }

    InstanceSpec spec(Component component, List<Path> disks) {
        Map<String, String> secrets = component.secrets().isEmpty() ? Map.of() : Map.of("PASSWORD", "s3cret-word");
        return new InstanceSpec(
                new Identity(node.node(), new ComponentId(service, component.name()), 1, "d".repeat(64)),
                component,
                runtime().image(node.image()).orElseThrow().id(),
                List.of(new InstanceSpec.Attachment(
                        network(), List.of(component.name().value()))),
                disks.stream()
                        .map(d -> new InstanceSpec.Mount(d, "/data", false))
                        .toList(),
                secrets,
                true);
    }

    InstanceId created(String name, String... command) {
        return runtime().create(spec(component(name, command).build(), List.of()));
    }

    InstanceId started(String name, String... command) {
        InstanceId id = created(name, command);
        runtime().start(id);
        return id;
    }

    InstanceState state(InstanceId id) {
        return runtime().inspect(id).orElseThrow().state();
    }

    int awaitEnd(InstanceId id) {
        await("the end", () -> state(id) instanceof InstanceState.Ended);
        return state(id) instanceof InstanceState.Ended ended ? ended.exitStatus() : -1;
    }

    List<String> log(InstanceId id) {
        List<String> lines = Collections.synchronizedList(new ArrayList<>());
        runtime().logs(id, new LogOptions(false, Optional.empty(), OptionalInt.empty()), new LogSink() {
            @Override
            public void line(Instant time, Stream stream, String text) {
                lines.add(text);
            }

            @Override
            public boolean isCancelled() {
                return false;
            }
        });
        return List.copyOf(lines);
    }

    void awaitLog(InstanceId id, String part) {
        await("a line with " + part, () -> log(id).stream().anyMatch(l -> l.contains(part)));
    }

    /** The state directory, of the one VM that is there. */
    StateDirectories.State directory() {
        StateDirectories all = new StateDirectories(node.vms());
        return all.at(all.keys().stream()
                .filter(k -> k.startsWith(service.value()))
                .reduce((_, _) -> {
                    throw new AssertionError("several VMs");
                })
                .orElseThrow());
    }

    /** The process of its VMM. */
    ProcessHandle vmm() {
        String key = String.valueOf(directory().path().getFileName());
        return ProcessHandle.allProcesses()
                .filter(p -> p.info().command().orElse("").contains("qemu")
                        && String.join(" ", p.info().arguments().orElse(new String[0]))
                                .contains("guest=" + key))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no VMM of " + key));
    }

    static void await(String what, BooleanSupplier condition) {
        Instant end = Instant.now().plus(SOON);
        while (!condition.getAsBoolean()) {
            assertThat(Instant.now()).as("waiting for " + what).isBefore(end);
            pause(Duration.ofMillis(50));
        }
    }

    static void pause(Duration duration) {
        try {
            Thread.sleep(duration);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    @Override
    public void close() {
        runtime().list(service).forEach(i -> runtime().remove(i.id()));
        runtime().removeNetwork(network());
    }
}
