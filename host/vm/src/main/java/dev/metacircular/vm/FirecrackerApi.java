package dev.metacircular.vm;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.VmException.Fault;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hc.client5.http.classic.methods.HttpGet;
import org.apache.hc.client5.http.classic.methods.HttpPut;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpEntity;
import org.apache.hc.core5.http.io.entity.StringEntity;
import org.apache.hc.core5.util.Timeout;

/**
 * Firecracker's API over its Unix-domain socket. Every call has a deadline, none is repeated. Success of a PUT is {@code 204}; an
 * error is {@code 400} with a {@code fault_message}, or at the HTTP level with an {@code error}.
 */
final class FirecrackerApi implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int SUCCESS_MAX = 299;

    private final String subject;
    private final ShortPath socket;
    private final CloseableHttpClient client;
    private final Duration deadline;

    /**
     * A client.
     *
     * @param subject whose Firecracker it is, for messages
     */
    FirecrackerApi(String subject, Path socket, Duration deadline) {
        this.subject = subject;
        this.socket = ShortPath.to(socket);
        this.deadline = deadline;
        this.client = HttpClients.custom()
                .setDefaultRequestConfig(RequestConfig.custom()
                        .setUnixDomainSocket(this.socket.path())
                        // For each read; the timer below bounds the whole call.
                        .setResponseTimeout(Timeout.of(deadline))
                        .build())
                .disableAutomaticRetries()
                .disableRedirectHandling()
                .disableCookieManagement()
                .disableAuthCaching()
                .build();
    }

    /**
     * The instance's description: {@code id}, {@code state} ({@code Not started}, {@code Running}, {@code Paused}), {@code vmm_version}.
     *
     * @throws IOException when nobody listens
     */
    JsonNode describe() throws IOException {
        return execute(new HttpGet("http://localhost/"), "GET /");
    }

    /**
     * Sets a part of the configuration, or triggers an action.
     *
     * @throws IOException when the connection breaks; whether the call was taken is then unknown
     * @throws VmException with Firecracker's own message when it refuses
     */
    void put(String path, ObjectNode body) throws IOException {
        HttpPut request = new HttpPut("http://localhost" + path);
        request.setEntity(new StringEntity(body.toString(), ContentType.APPLICATION_JSON));
        execute(request, "PUT " + path);
    }

    static ObjectNode object() {
        return JSON.createObjectNode();
    }

    private JsonNode execute(HttpUriRequestBase request, String what) throws IOException {
        AtomicBoolean late = new AtomicBoolean();
        Thread timer = Thread.ofVirtual().start(() -> {
            try {
                Thread.sleep(deadline);
                late.set(true);
                request.abort();
            } catch (InterruptedException answered) {
                // The call is over.
            }
        });
        try {
            return client.execute(request, response -> answer(response, what));
        } catch (IOException e) {
            if (late.get() || e instanceof SocketTimeoutException) {
                throw new VmException(
                        Fault.DEADLINE,
                        subject + ": Firecracker did not answer " + what + " within " + deadline.toMillis() + " ms",
                        e);
            }
            throw e;
        } finally {
            timer.interrupt();
        }
    }

    private JsonNode answer(ClassicHttpResponse response, String what) throws IOException {
        String body = body(response.getEntity());
        if (response.getCode() <= SUCCESS_MAX) {
            return body.isBlank() ? object() : JSON.readTree(body);
        }
        throw FirecrackerErrors.refused(subject, what, message(body, response.getCode()));
    }

    private static String body(@org.jspecify.annotations.Nullable HttpEntity entity) throws IOException {
        if (entity == null) {
            return "";
        }
        try (InputStream content = entity.getContent()) {
            return new String(content.readNBytes(Limits.CONTROL_MESSAGE_BYTES_MAX), StandardCharsets.UTF_8);
        }
    }

    private static String message(String body, int code) {
        try {
            JsonNode node = JSON.readTree(body);
            for (String field : new String[] {"fault_message", "error"}) {
                if (node.path(field).isTextual()) {
                    return node.path(field).asText();
                }
            }
        } catch (JsonProcessingException notJson) {
            // At the HTTP level Firecracker writes a line break into a JSON string: shown as it came.
        }
        return "HTTP status " + code + (body.isBlank() ? "" : ": " + body.strip());
    }

    @Override
    public void close() {
        try {
            client.close();
        } catch (IOException e) {
            throw StateDirectory.cannot("close the connection to", socket.path(), e);
        } finally {
            socket.close();
        }
    }
}
