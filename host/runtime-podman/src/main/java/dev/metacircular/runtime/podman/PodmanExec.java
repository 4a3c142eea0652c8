package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.Exec;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Commands inside containers through libpod's exec, which takes its connection over for the command's bytes. */
final class PodmanExec implements Exec {
    private static final Duration IDLE = Duration.ofSeconds(5);

    private final Libpod libpod;

    PodmanExec(Libpod libpod) {
        this.libpod = libpod;
    }

    @Override
    public Session exec(InstanceId instance, List<String> command, Optional<TerminalSize> terminal) {
        Request create = Request.post(
                        "run " + command.getFirst() + " in " + instance,
                        Libpod.path("/containers/{}/exec", instance.value()))
                .json(Map.of(
                        "AttachStdin", true,
                        "AttachStdout", true,
                        "AttachStderr", true,
                        "Tty", terminal.isPresent(),
                        "Cmd", command));
        Answer answer = libpod.change(create);
        if (!answer.isSuccess()) {
            throw Libpod.failure(create, answer);
        }
        String id = answer.json().path("Id").asText();
        Map<String, Object> options = new LinkedHashMap<>();
        options.put("Detach", false);
        options.put("Tty", terminal.isPresent());
        terminal.ifPresent(size -> {
            options.put("h", size.rows());
            options.put("w", size.columns());
        });
        Request start = Request.post(create.purpose(), Libpod.path("/exec/{}/start", id))
                .json(options);
        Exchange exchange = libpod.open(
                start.with(Map.of("Upgrade", "tcp")), libpod.deadlines().call());
        if (exchange.status() != 101 && exchange.status() != 200) {
            throw refused(start, exchange);
        }
        exchange.release();
        return new Running(create.purpose(), id, exchange, terminal.isPresent());
    }

    private static RuntimeFailure refused(Request start, Exchange exchange) {
        try (exchange) {
            return Libpod.failure(
                    start, new Answer(exchange.status(), exchange.body().readNBytes(64 << 10)));
        } catch (IOException e) {
            return exchange.failure(e);
        }
    }

    private final class Running implements Session {
        private static final Duration LOOK_AGAIN = Duration.ofMillis(20);

        private final String purpose;
        private final String id;
        private final Exchange exchange;
        private final StreamGuard guard;
        private final InputStream output;
        private final InputStream errors;

        Running(String purpose, String id, Exchange exchange, boolean terminal) {
            this.purpose = purpose;
            this.id = id;
            this.exchange = exchange;
            this.guard = StreamGuard.asking(exchange, IDLE, libpod::ping);
            if (terminal) {
                this.output = exchange.body();
                this.errors = InputStream.nullInputStream();
            } else {
                Demultiplexer streams = new Demultiplexer(exchange);
                this.output = streams.output();
                this.errors = streams.errors();
            }
        }

        @Override
        public OutputStream input() {
            return exchange.output();
        }

        @Override
        public InputStream output() {
            return output;
        }

        @Override
        public InputStream errors() {
            return errors;
        }

        @Override
        public void resize(TerminalSize size) {
            Request request = Request.post(
                    "resize the terminal of a command",
                    Libpod.path("/exec/{}/resize?h=" + size.rows() + "&w=" + size.columns(), id));
            Answer answer = libpod.change(request);
            if (!answer.isSuccess()) {
                throw Libpod.failure(request, answer);
            }
        }

        @Override
        public int exitStatus() {
            while (true) {
                JsonNode state = libpod.read(Request.get(purpose, Libpod.path("/exec/{}/json", id)));
                if (!state.path("Running").asBoolean()) {
                    return state.path("ExitCode").asInt();
                }
                try {
                    Thread.sleep(LOOK_AGAIN);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new RuntimeFailure(Kind.DEADLINE, "cannot " + purpose + ": interrupted", e);
                }
            }
        }

        @Override
        public void close() {
            guard.close();
            exchange.close();
        }
    }
}
