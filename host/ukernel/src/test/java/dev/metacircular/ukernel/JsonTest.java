package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The shapes of docs/json.md. */
@Timeout(180)
class JsonTest {
    private static final String[] ENDED = {"outcome", "exit_status", "workload_status", "cause"};

    @TempDir
    Path folder;

    private static List<JsonNode> lines(Workbench.Result result) throws IOException {
        List<JsonNode> nodes = new ArrayList<>();
        for (String line : result.out().lines().toList()) {
            nodes.add(new ObjectMapper().readTree(line));
        }
        return nodes;
    }

    private static JsonNode only(Workbench.Result result) throws IOException {
        List<JsonNode> lines = lines(result);
        assertThat(lines).as(result.err()).hasSize(1);
        return lines.getFirst();
    }

    private static List<String> keys(JsonNode node) {
        List<String> keys = new ArrayList<>();
        node.fieldNames().forEachRemaining(keys::add);
        return keys;
    }

    @Test
    void everyCommandKeepsItsShape() throws IOException {
        Workbench.requireQemu();
        Workbench bench = new Workbench(folder);
        JsonNode init = only(bench.run(folder, "init", "--name", "hello", "--lang", "c", "--json"));
        assertThat(keys(init)).containsExactly("project", "folder");
        Path hello = folder.resolve("hello");
        JsonNode build = only(bench.run(hello, "build", "--json"));
        assertThat(keys(build)).containsExactly("project", "program", "steps");
        assertThat(keys(build.path("steps").path(0))).containsExactly("name", "changed", "summary");
        JsonNode pack = only(bench.run(hello, "pack", "--json"));
        assertThat(keys(pack)).containsExactly("project", "image", "steps");
        assertThat(pack.path("steps").path(0).path("changed").asBoolean(true)).isFalse();
        assertThat(pack.path("steps").path(1).path("changed").asBoolean()).isTrue();

        assertThat(keys(only(bench.run(hello, "inspect", "--json"))))
                .containsExactly(
                        "image",
                        "size_bytes",
                        "uuid",
                        "verified",
                        "name",
                        "abi",
                        "adapter",
                        "start",
                        "entry",
                        "files",
                        "arguments",
                        "environment",
                        "capabilities",
                        "segments",
                        "digests");
        JsonNode diff = only(bench.run(hello, "diff", "dist/hello.img", "dist/hello.img", "--json"));
        assertThat(keys(diff)).containsExactly("equal", "differences");

        assertThat(only(bench.run(hello, "ps", "--json"))).isEmpty();
        Files.writeString(hello.resolve("src/main.c"), "int main(void)\n{\n    for (;;) ;\n}\n");
        JsonNode started = lines(bench.run(hello, "run", "--detach", "--json")).getLast();
        assertThat(keys(started))
                .containsExactly("event", "name", "vmm", "accelerator", "accelerator_reason", "vcpus", "memory_mb");
        JsonNode running = only(bench.run(hello, "ps", "--json")).path(0);
        assertThat(keys(running))
                .containsExactly(
                        "name",
                        "vmm",
                        "accelerator",
                        "accelerator_reason",
                        "vcpus",
                        "memory_mb",
                        "image",
                        "started_at",
                        "state",
                        "pid");
        JsonNode stop = only(bench.run(hello, "stop", "--json"));
        assertThat(keys(stop)).startsWith("name", "changed").contains("outcome", "exit_status", "cause");
        JsonNode ended = only(bench.run(hello, "ps", "--all", "--json")).path(0);
        assertThat(ended.path("state").asText()).isEqualTo("ended");
        assertThat(keys(ended)).contains("outcome", "exit_status", "cause");
        assertThat(keys(stop).subList(2, keys(stop).size())).isSubsetOf(ENDED);

        JsonNode doctor = only(bench.run(hello, "doctor", "--json"));
        assertThat(keys(doctor)).containsExactly("ready", "findings");
        assertThat(doctor.path("ready").asBoolean()).isTrue();
        assertThat(keys(doctor.path("findings").path(0))).containsExactly("subject", "status", "detail");
    }
}
