package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.PortMapping.Protocol;
import dev.metacircular.runtime.Exec;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Health checks of containers. HTTP goes through the published port where there is one. A published port of a rootless
 * container accepts connections whether or not the component listens, so for TCP the kernel is asked whether it does
 * ({@link Listeners}). Where that is not clear, and for HTTP without a published port, a helper process enters the container's network
 * namespace and connects to its own address.
 *
 * <p>What a container carries listens where neither the published port nor the container's kernel tells of it: there, the helper always
 * connects.
 */
final class Prober {
    private static final int MAX_STATUS_LINE_BYTES = 1024;

    /** Arguments: address, port, and for HTTP the path. Prints the status line, nothing for TCP. */
    private static final String HELPER = """
            exec 3<>"/dev/tcp/$1/$2" || exit 1
            [ $# -lt 3 ] && exit 0
            printf 'GET %s HTTP/1.1\\r\\nHost: %s:%s\\r\\nConnection: close\\r\\n\\r\\n' "$3" "$1" "$2" >&3
            IFS= read -r line <&3 && printf '%s\\n' "$line"
            """;

    private final Containers containers;
    private final Exec exec;
    private final boolean carried;

    /** @param carried whether not the containers listen, but what they carry, which has taken over their addresses */
    Prober(Containers containers, Exec exec, boolean carried) {
        this.containers = containers;
        this.exec = exec;
        this.carried = carried;
    }

    ProbeResult probe(InstanceId instance, HealthCheck check, Duration timeout) {
        long end = System.nanoTime() + timeout.toNanos();
        return switch (check) {
            case HealthCheck.Http http -> http(instance, http, end);
            case HealthCheck.Tcp(int port, Duration _) -> inside(instance, List.of(Integer.toString(port)), end);
            case HealthCheck.Command(List<String> command, Duration _) -> {
                if (carried) {
                    throw new RuntimeFailure(
                            Kind.UNSUPPORTED, "a " + instance.runtime() + " runs no commands besides its program");
                }
                yield command(instance, command, end);
            }
        };
    }

    private static Duration left(long endNanos) {
        return Duration.ofNanos(Math.max(1_000_000, endNanos - System.nanoTime()));
    }

    private ProbeResult http(InstanceId id, HealthCheck.Http check, long end) {
        if (carried) {
            return inside(id, List.of(Integer.toString(check.port()), check.path()), end);
        }
        Instance instance =
                containers.find(id).orElseThrow(() -> new RuntimeFailure(Kind.NOT_FOUND, "there is no instance " + id));
        Optional<PortMapping> published = instance.ports().stream()
                .filter(p -> p.guestPort() == check.port() && p.protocol() == Protocol.TCP)
                .findFirst();
        return published.isPresent()
                ? outside(published.get(), check, end)
                : inside(id, List.of(Integer.toString(check.port()), check.path()), end);
    }

    private static ProbeResult outside(PortMapping port, HealthCheck.Http check, long end) {
        String address = switch (port.address()) {
            case "0.0.0.0" -> "127.0.0.1";
            case "::" -> "::1";
            default -> port.address();
        };
        try (Socket socket = new Socket()) {
            int connectMillis = (int) Math.min(Integer.MAX_VALUE, left(end).toMillis() + 1);
            socket.connect(new InetSocketAddress(address, port.hostPort()), connectMillis);
            String request = "GET " + check.path() + " HTTP/1.1\r\nHost: "
                    + (address.contains(":") ? "[" + address + "]" : address) + ":" + port.hostPort()
                    + "\r\nConnection: close\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            return judge(statusLine(socket, end));
        } catch (SocketTimeoutException e) {
            return new ProbeResult.Unhealthy("no answer in time");
        } catch (SocketException e) {
            return new ProbeResult.Unhealthy(OneLine.of(String.valueOf(e.getMessage())));
        } catch (IOException e) {
            return new ProbeResult.Unhealthy(OneLine.of(String.valueOf(e)));
        }
    }

    private static String statusLine(Socket socket, long end) throws IOException {
        InputStream input = socket.getInputStream();
        StringBuilder line = new StringBuilder();
        while (line.length() < MAX_STATUS_LINE_BYTES) {
            if (System.nanoTime() >= end) {
                throw new SocketTimeoutException();
            }
            socket.setSoTimeout((int) Math.min(Integer.MAX_VALUE, left(end).toMillis() + 1));
            int next = input.read();
            if (next < 0 || next == '\n') {
                break;
            }
            line.append((char) next);
        }
        return line.toString().strip();
    }

    private static ProbeResult judge(String statusLine) {
        if (statusLine.isEmpty()) {
            return new ProbeResult.Unhealthy("the connection was closed without an answer");
        }
        String[] parts = statusLine.split(" ", 3);
        if (parts.length < 2 || !parts[0].startsWith("HTTP/") || !parts[1].matches("[1-5][0-9]{2}")) {
            return new ProbeResult.Unhealthy("it does not speak HTTP");
        }
        int status = Integer.parseInt(parts[1]);
        return status >= 200 && status <= 399
                ? new ProbeResult.Healthy()
                : new ProbeResult.Unhealthy("HTTP status " + status);
    }

    /** @param arguments the port, and for HTTP the path */
    private ProbeResult inside(InstanceId id, List<String> arguments, long end) {
        JsonNode container = containers.inspect("probe " + id, id);
        long pid = container.path("State").path("Pid").asLong();
        if (pid <= 0) {
            return new ProbeResult.Unhealthy("it is not running");
        }
        String address = address(container);
        boolean http = arguments.size() > 1;
        switch (listening(pid, address, Integer.parseInt(arguments.getFirst()))) {
            case REFUSES -> {
                return new ProbeResult.Unhealthy("connection refused");
            }
            case LISTENS -> {
                if (!http) {
                    return new ProbeResult.Healthy();
                }
            }
            case UNCLEAR -> {}
        }
        List<String> command = new ArrayList<>(
                List.of("nsenter", "--user", "--net", "--preserve-credentials", "--target", Long.toString(pid), "--"));
        command.addAll(List.of("bash", "-c", HELPER, "probe", address));
        command.addAll(arguments);
        try {
            Process process = new ProcessBuilder(command).start();
            try {
                process.getOutputStream().close();
                return await(process, http, end);
            } finally {
                process.destroyForcibly();
            }
        } catch (IOException e) {
            throw new RuntimeFailure(
                    Kind.UNSUPPORTED, "cannot probe " + id + ": nsenter or bash is missing (util-linux, bash)", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RuntimeFailure(Kind.DEADLINE, "cannot probe " + id + ": interrupted", e);
        }
    }

    private Listeners.Answer listening(long pid, String address, int port) {
        return carried ? Listeners.Answer.UNCLEAR : Listeners.at(pid, address, port);
    }

    private static String address(JsonNode container) {
        for (JsonNode network : container.path("NetworkSettings").path("Networks")) {
            String address = network.path("IPAddress").asText("");
            if (!address.isEmpty()) {
                return address;
            }
        }
        return "127.0.0.1";
    }

    private static ProbeResult await(Process process, boolean http, long end) throws IOException, InterruptedException {
        if (!process.waitFor(left(end).toMillis() + 1, TimeUnit.MILLISECONDS)) {
            return new ProbeResult.Unhealthy("no answer in time");
        }
        String output = new String(process.getInputStream().readNBytes(MAX_STATUS_LINE_BYTES), StandardCharsets.UTF_8);
        String errors = new String(process.getErrorStream().readNBytes(MAX_STATUS_LINE_BYTES), StandardCharsets.UTF_8);
        if (http && !output.isBlank()) {
            return judge(output.strip());
        }
        if (process.exitValue() == 0) {
            return http ? judge("") : new ProbeResult.Healthy();
        }
        if (errors.contains("Connection refused")) {
            return new ProbeResult.Unhealthy("connection refused");
        }
        return http && errors.isBlank() ? judge("") : new ProbeResult.Unhealthy(OneLine.of(errors));
    }

    private ProbeResult command(InstanceId id, List<String> command, long end) {
        try (Exec.Session session = exec.exec(id, command, Optional.empty())) {
            session.input().close();
            Thread reader = Thread.ofVirtual().start(() -> drain(session));
            if (!reader.join(left(end))) {
                return new ProbeResult.Unhealthy("no end in time");
            }
            int status = session.exitStatus();
            return status == 0 ? new ProbeResult.Healthy() : new ProbeResult.Unhealthy("exit status " + status);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RuntimeFailure(Kind.DEADLINE, "cannot probe " + id + ": interrupted", e);
        } catch (IOException e) {
            return new ProbeResult.Unhealthy(OneLine.of(String.valueOf(e.getMessage())));
        } catch (RuntimeFailure e) {
            if (e.kind() == Kind.CONFLICT || e.kind() == Kind.INVALID) {
                return new ProbeResult.Unhealthy(Libpod.message(e));
            }
            throw e;
        }
    }

    private static void drain(Exec.Session session) {
        Thread errors = Thread.ofVirtual().start(() -> discard(session.errors()));
        discard(session.output());
        try {
            errors.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void discard(InputStream stream) {
        try {
            stream.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            // The exit status tells what there is to tell.
            return;
        }
    }
}
