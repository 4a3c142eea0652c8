package dev.metacircular.runtime.podman;

import dev.metacircular.model.InstanceState;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;

/** Reads a container's log through podman, which keeps it in a file of bounded size. */
final class Logs {
    /** How long a followed log may be silent before podman is asked whether there is anything to wait for. */
    static final Duration IDLE = Duration.ofSeconds(5);

    private final Libpod libpod;
    private final Containers containers;

    Logs(Libpod libpod, Containers containers) {
        this.libpod = libpod;
        this.containers = containers;
    }

    void read(InstanceId instance, LogOptions options, LogSink sink) {
        StringBuilder target = new StringBuilder(
                Libpod.path("/containers/{}/logs?stdout=true&stderr=true&timestamps=true", instance.value()));
        target.append("&follow=").append(options.follow());
        options.since().ifPresent(since -> target.append("&since=").append(Libpod.encode(since.toString())));
        options.tail().ifPresent(tail -> target.append("&tail=").append(tail));
        Request request = Request.get("read the log of " + instance, target.toString());
        if (options.follow()) {
            follow(request, instance, sink);
        } else {
            readWhole(request, sink);
        }
    }

    private void readWhole(Request request, LogSink sink) {
        Duration idle = libpod.deadlines().call();
        Supplier<Boolean> silent = () -> {
            throw silent(request);
        };
        try (Exchange exchange = libpod.open(request, idle);
                StreamGuard _ = StreamGuard.asking(exchange, idle, sink::isCancelled, silent)) {
            exchange.release();
            deliver(request, exchange, sink);
        }
    }

    private RuntimeFailure silent(Request request) {
        return new RuntimeFailure(
                Kind.DEADLINE,
                "cannot " + request.purpose() + ": nothing has arrived for "
                        + libpod.deadlines().call().toSeconds() + " s");
    }

    private void follow(Request request, InstanceId instance, LogSink sink) {
        try (Exchange exchange = libpod.open(request, libpod.deadlines().call());
                StreamGuard _ = StreamGuard.asking(exchange, IDLE, sink::isCancelled, () -> isRunning(instance))) {
            exchange.release();
            deliver(request, exchange, sink);
        }
    }

    private boolean isRunning(InstanceId id) {
        Optional<Instance> instance = containers.find(id);
        return instance.isPresent() && instance.get().state() instanceof InstanceState.Running;
    }

    private static void deliver(Request request, Exchange exchange, LogSink sink) {
        try {
            if (exchange.status() != 200) {
                Answer answer = new Answer(exchange.status(), exchange.body().readNBytes(64 << 10));
                throw Libpod.failure(request, answer);
            }
            new LogFrames(exchange.body()).deliver(sink);
        } catch (IOException e) {
            if (!exchange.isClosed()) {
                throw exchange.failure(e);
            }
        }
    }
}
