package dev.metacircular.vm;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * What a VM's state directory says of it, as JSON with a version.
 *
 * @param info what is told to callers
 * @param bootId the host's boot in which it was started
 */
record VmRecord(VmInfo info, String bootId) {
    private static final int VERSION = 1;
    private static final ObjectMapper JSON = new ObjectMapper();

    String toJson() {
        ObjectNode node = JSON.createObjectNode()
                .put("version", VERSION)
                .put("id", info.id().value())
                .put("driver", info.driver())
                .put("vmm", info.vmm().toString())
                .put("accelerator", info.acceleration().accelerator().name())
                .put("acceleratorReason", info.acceleration().reason())
                .put("kernel", info.kernel().toString())
                .put("vcpus", info.vcpus())
                .put("memoryMebibytes", info.memoryMebibytes())
                .put("channelSlots", info.channelSlots())
                .put("consoleSegmentBytes", info.consoleSegmentBytes())
                .put("confinement", info.confinement())
                .put("startedAt", info.startedAt().toString())
                .put("bootId", bootId);
        info.networks().forEach(node.putArray("networks")::add);
        return node.toPrettyString() + "\n";
    }

    /**
     * Reads a record.
     *
     * @throws VmException HOST when it is damaged or of a later version
     */
    static VmRecord parse(String json, Path directory) {
        try {
            JsonNode node = JSON.readTree(json);
            int version = node.path("version").asInt();
            if (version != VERSION) {
                throw damaged(directory, "its version is " + version + ", this program knows " + VERSION, null);
            }
            List<String> networks = new ArrayList<>();
            node.path("networks").forEach(network -> networks.add(network.asText()));
            VmInfo info = new VmInfo(
                    new VmId(text(node, "id")),
                    text(node, "driver"),
                    Path.of(text(node, "vmm")),
                    new Acceleration(Accelerator.valueOf(text(node, "accelerator")), text(node, "acceleratorReason")),
                    Path.of(text(node, "kernel")),
                    number(node, "vcpus"),
                    number(node, "memoryMebibytes"),
                    number(node, "channelSlots"),
                    number(node, "consoleSegmentBytes"),
                    networks,
                    text(node, "confinement"),
                    Instant.parse(text(node, "startedAt")),
                    directory);
            return new VmRecord(info, text(node, "bootId"));
        } catch (JsonProcessingException | DateTimeException | IllegalArgumentException e) {
            throw damaged(directory, String.valueOf(e.getMessage()), e);
        }
    }

    private static String text(JsonNode node, String field) {
        JsonNode value = node.path(field);
        if (!value.isTextual()) {
            throw new IllegalArgumentException("field \"" + field + "\" is missing");
        }
        return value.asText();
    }

    private static int number(JsonNode node, String field) {
        JsonNode value = node.path(field);
        if (!value.isInt() || value.asInt() < 0) {
            throw new IllegalArgumentException("field \"" + field + "\" is missing or no number");
        }
        return value.asInt();
    }

    private static VmException damaged(Path directory, String why, @org.jspecify.annotations.Nullable Exception cause) {
        String message = directory.resolve("vm.json") + " cannot be used: " + why + ". If no VMM runs there, delete "
                + directory;
        return cause == null
                ? new VmException(VmException.Fault.HOST, message)
                : new VmException(VmException.Fault.HOST, message, cause);
    }
}
