package dev.metacircular.acceptance;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Deploys during which the agent is killed ({@code kill -9}). */
final class CutDeploy {
    private static final ObjectMapper JSON = new ObjectMapper();

    private CutDeploy() {}

    /** Without its index, which another plan may give to something else. */
    private static String step(JsonNode line) {
        return "%s %s %s"
                .formatted(
                        line.get("op").asText(),
                        line.path("component").asText(),
                        line.get("status").asText());
    }

    /**
     * The steps that a deploy has in an agent that was just started, and so has to make sure of the service's networks. The agent is
     * started anew after it.
     *
     * @param service is defined with another image, which the node has
     */
    static List<String> steps(Node node, String service) throws IOException, InterruptedException {
        node.kill();
        node.start();
        List<String> steps = List.copyOf(until(node, service, "", Duration.ZERO));
        node.kill();
        node.start();
        return steps;
    }

    /**
     * Deploys and kills the agent as soon as the client has printed the step.
     *
     * @param deadlyStep empty to kill it at none
     * @param extra how long after it
     * @return the steps that were seen
     * @throws AssertionError if the step never came: nothing was cut then
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
        if (!deadlyStep.isEmpty() && !seen.contains(deadlyStep)) {
            throw new AssertionError("the deploy has no step '" + deadlyStep + "': " + seen);
        }
        return seen;
    }
}
