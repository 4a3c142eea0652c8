package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * One pull. Over TLS it goes through the compatible endpoint, whose stream tells bytes in every version of podman. Only
 * libpod's own takes plain HTTP; podman 4.3 tells no bytes there, so silence alone does not end such a pull while podman answers.
 */
final class Pull {
    private static final List<String> DENIED = List.of(
            "unauthorized", "authentication required", "denied", "status code from registry 403", "not authorized");
    private static final List<String> NOT_FOUND = List.of("manifest unknown", "name unknown", "not found");

    private final Libpod libpod;
    private final RegistryAccess registries;
    private final ImageRef reference;
    private final Map<String, Long> done = new HashMap<>();
    private final Map<String, Long> total = new HashMap<>();

    Pull(Libpod libpod, RegistryAccess registries, ImageRef reference) {
        this.libpod = libpod;
        this.registries = registries;
        this.reference = reference;
    }

    void run(PullListener listener) {
        boolean insecure = registries.of(reference).insecure();
        String image = Libpod.encode(Images.forPodman(reference));
        String target = insecure
                ? Libpod.path("/images/pull?tlsVerify=false&compatMode=true&policy=always&reference=") + image
                : "/v1.40/images/create?fromImage=" + image;
        Request request = Request.post("pull " + reference, target).with(registries.headers(reference));
        try (Exchange exchange = libpod.open(request, libpod.deadlines().pullIdle());
                StreamGuard _ = insecure
                        ? StreamGuard.asking(exchange, libpod.deadlines().pullIdle(), libpod::ping)
                        : StreamGuard.strict(exchange, libpod.deadlines().pullIdle(), stalled())) {
            exchange.extend(libpod.deadlines().pullTotal());
            try {
                read(request, exchange, listener);
            } catch (IOException e) {
                throw exchange.failure(e);
            }
        }
    }

    private RuntimeFailure stalled() {
        return new RuntimeFailure(
                Kind.DEADLINE,
                "cannot pull " + reference + ": nothing has arrived for "
                        + libpod.deadlines().pullIdle().toSeconds() + " s");
    }

    private void read(Request request, Exchange exchange, PullListener listener) throws IOException {
        if (exchange.status() != 200) {
            throw failure(new Answer(exchange.status(), exchange.body().readNBytes(64 << 10)).message());
        }
        boolean whole = false;
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(exchange.body(), StandardCharsets.UTF_8), 8 << 10);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (!line.isBlank()) {
                JsonNode report = Json.parse(line.getBytes(StandardCharsets.UTF_8));
                String error = report.path("error")
                        .asText(report.path("errorDetail").path("message").asText(""));
                if (!error.isEmpty()) {
                    throw failure(error);
                }
                report(report, listener);
                whole = true;
            }
        }
        if (!whole) {
            throw new RuntimeFailure(Kind.UNREACHABLE, "cannot " + request.purpose() + ": podman told nothing");
        }
    }

    private void report(JsonNode report, PullListener listener) {
        JsonNode detail = report.path("progressDetail");
        String layer = report.path("id").asText("");
        if (detail.path("total").asLong() > 0 && !layer.isEmpty()) {
            done.put(layer, detail.path("current").asLong());
            total.put(layer, detail.path("total").asLong());
        } else if (report.path("status").asText("").equals("Download complete") && total.containsKey(layer)) {
            done.put(layer, total.getOrDefault(layer, 0L));
        }
        listener.progress(reference.toString(), sum(done), sum(total));
    }

    private static long sum(Map<String, Long> layers) {
        return layers.values().stream().mapToLong(Long::longValue).sum();
    }

    private RuntimeFailure failure(String podmansMessage) {
        String message = podmansMessage.toLowerCase(Locale.ROOT);
        Kind kind = DENIED.stream().anyMatch(message::contains)
                ? Kind.DENIED
                : NOT_FOUND.stream().anyMatch(message::contains)
                        ? Kind.NOT_FOUND
                        : message.contains("no space left") ? Kind.EXHAUSTED : Kind.FAILED;
        return new RuntimeFailure(kind, "cannot pull " + reference + ": " + OneLine.of(podmansMessage));
    }
}
