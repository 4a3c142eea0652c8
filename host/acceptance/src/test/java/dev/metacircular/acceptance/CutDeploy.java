package dev.metacircular.acceptance;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Deploys during which the agent is killed ({@code kill -9}). */
final class CutDeploy {
    private static final ObjectMapper JSON = new ObjectMapper();

    private CutDeploy() {}

    private static String step(JsonNode line) {
        return line.get("index").asInt() + " " + line.get("op").asText() + " "
                + line.get("status").asText();
    }

    /**
     * Deploys and kills the agent as soon as the client has printed the step.
     *
     * @param deadlyStep empty to kill it at none
     * @param extra how long after it
     * @return the steps that were seen
     */
    static Set<String> until(Node node, String service, String deadlyStep, Duration extra)
            throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(Node.bin("mcp"), "deploy", service, "--json")
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().putAll(node.environment());
        Process client = builder.start();
        Set<String> seen = new LinkedHashSet<>();
        try (BufferedReader out = client.inputReader(StandardCharsets.UTF_8)) {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                JsonNode told = JSON.readTree(line);
                if (told.has("index")) {
                    seen.add(step(told));
                    if (step(told).equals(deadlyStep)) {
                        Thread.sleep(extra);
                        node.kill();
                    }
                }
            }
        }
        if (!client.waitFor(60, TimeUnit.SECONDS)) {
            client.destroyForcibly();
            throw new AssertionError("the client does not notice the agent's death");
        }
        return seen;
    }
}
