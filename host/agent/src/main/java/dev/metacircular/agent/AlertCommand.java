package dev.metacircular.agent;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.metacircular.definition.AgentConfig;
import dev.metacircular.model.Name;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.registry.StoredEvent;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Runs the operator's alert command: an argument vector, never a shell's line, in a session of its own, with the event in its environment
 * and as one line of JSON on its standard input. When its time is over, its whole process group is killed.
 */
final class AlertCommand {
    private static final int MAX_OUTPUT_BYTES = 4 << 10;
    private static final int MAX_TOLD_CHARS = 300;
    private static final Duration LAST_OUTPUT = Duration.ofMillis(500);
    private static final Duration KILL = Duration.ofSeconds(5);
    private static final JsonFactory JSON = new JsonFactory();
    /** Of the agent's environment no more than this is handed on. */
    private static final List<String> INHERITED = List.of("PATH", "HOME", "USER", "LANG", "TZ");

    private final Name node;
    private final AgentConfig.Alert config;

    AlertCommand(Name node, AgentConfig.Alert config) {
        this.node = node;
        this.config = config;
    }

    /**
     * Runs it and waits for its end.
     *
     * @param held alerts of the same component that were held back since its last one
     * @return why it failed, empty if it ended with 0
     */
    Optional<String> run(StoredEvent event, EventLog.Urgency urgency, int held) throws InterruptedException {
        // setsid does not fork here, for a new child leads no process group: its process is the command's, and leads
        // its group.
        List<String> vector = new ArrayList<>(List.of("setsid"));
        vector.addAll(config.command());
        ProcessBuilder builder =
                new ProcessBuilder(vector).directory(Path.of("/").toFile()).redirectErrorStream(true);
        environment(builder.environment(), event, urgency, held);
        Process process;
        try {
            process = builder.start();
        } catch (IOException e) {
            return Optional.of("it cannot be started: " + Main.describe(e));
        }
        try {
            return await(process, json(event, urgency, held));
        } finally {
            process.destroyForcibly();
        }
    }

    private Optional<String> await(Process process, byte[] input) throws InterruptedException {
        // Written and read beside the wait: a command that reads nothing or writes much must not hold up its own time
        // limit.
        Thread writer = Thread.startVirtualThread(() -> {
            try (OutputStream in = process.getOutputStream()) {
                in.write(input);
            } catch (IOException _) {
                // It need not read it.
            }
        });
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        Thread reader = Thread.startVirtualThread(() -> {
            try (InputStream out = process.getInputStream()) {
                byte[] first = out.readNBytes(MAX_OUTPUT_BYTES);
                synchronized (output) {
                    output.write(first, 0, first.length);
                }
                out.transferTo(OutputStream.nullOutputStream());
            } catch (IOException _) {
                // It was killed.
            }
        });
        try {
            if (!process.waitFor(config.timeout().toMillis(), TimeUnit.MILLISECONDS)) {
                killGroup(process.pid());
                return Optional.of("it did not end within " + Hold.seconds(config.timeout()) + " and was killed");
            }
            reader.join(LAST_OUTPUT);
        } finally {
            writer.interrupt();
            reader.interrupt();
        }
        int status = process.exitValue();
        return status == 0 ? Optional.empty() : Optional.of("it ended with status " + status + told(output));
    }

    private static String told(ByteArrayOutputStream output) {
        String text;
        synchronized (output) {
            text = output.toString(StandardCharsets.UTF_8).strip();
        }
        String line = text.replaceAll("\\s+", " ");
        return line.isEmpty()
                ? ""
                : ": " + (line.length() <= MAX_TOLD_CHARS ? line : line.substring(0, MAX_TOLD_CHARS) + "…");
    }

    private static void killGroup(long leader) {
        try {
            Programs.run(KILL, List.of("sh", "-c", "kill -s KILL -- \"-$1\"", "sh", Long.toString(leader)));
        } catch (IOException _) {
            // The command itself is killed by the caller.
        }
    }

    private void environment(Map<String, String> environment, StoredEvent stored, EventLog.Urgency urgency, int held) {
        environment.keySet().retainAll(INHERITED);
        RegistryEvent e = stored.event();
        environment.put("MCP_NODE", node.value());
        environment.put("MCP_TIME", e.time().toString());
        environment.put("MCP_SERVICE", e.service());
        environment.put("MCP_COMPONENT", e.component());
        environment.put("MCP_KIND", e.kind());
        environment.put("MCP_MESSAGE", e.message().replaceAll("\\p{Cntrl}", " "));
        environment.put("MCP_URGENCY", urgency.name().toLowerCase(Locale.ROOT));
        environment.put("MCP_EVENT_ID", Long.toString(stored.id()));
        environment.put("MCP_NET", e.net() ? "1" : "0");
        environment.put("MCP_HELD_BACK", Integer.toString(held));
    }

    private byte[] json(StoredEvent stored, EventLog.Urgency urgency, int held) {
        RegistryEvent e = stored.event();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = JSON.createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("time", e.time().toString());
            json.writeStringField("node", node.value());
            json.writeStringField("service", e.service());
            json.writeStringField("component", e.component());
            json.writeStringField("kind", e.kind());
            json.writeStringField("message", e.message());
            json.writeNumberField("id", stored.id());
            json.writeBooleanField("net", e.net());
            json.writeStringField("urgency", urgency.name().toLowerCase(Locale.ROOT));
            json.writeNumberField("held_back", held);
            json.writeEndObject();
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
        out.write('\n');
        return out.toByteArray();
    }
}
