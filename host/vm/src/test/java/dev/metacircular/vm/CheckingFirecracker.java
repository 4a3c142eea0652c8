package dev.metacircular.vm;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Firecracker's API as far as a driver needs it: answers as recorded, and refuses what the real one refuses. A request that was recorded word for
 * word gets the recorded answer; any other is checked against the same rules.
 */
final class CheckingFirecracker {
    /** An answer over HTTP. */
    record Answer(int code, String body) {
        static Answer done() {
            return new Answer(204, "");
        }

        static Answer fault(String message) {
            return new Answer(
                    400,
                    new ObjectMapper()
                            .createObjectNode()
                            .put("fault_message", message)
                            .toString());
        }
    }

    /** Boots what was configured. */
    interface Machine {
        void boot(CheckingFirecracker configuration) throws IOException;
    }

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String AFTER_START = "The requested operation is not supported after starting the microVM.";
    private static final String BEFORE_START = "The requested operation is not supported before starting the microVM.";
    private static final String JSON_ERROR = "An error occurred when deserializing the json body of a request: ";

    private final List<FirecrackerRecording.Exchange> recording = FirecrackerRecording.load();
    private final String id;
    private final Machine machine;
    private boolean started;
    private Optional<JsonNode> bootSource = Optional.empty();
    private int vcpus = 1;
    private int memoryMebibytes = 128;
    private final Map<String, JsonNode> drives = new TreeMap<>();

    CheckingFirecracker(String id, Machine machine) {
        this.id = id;
        this.machine = machine;
    }

    JsonNode bootSource() {
        return bootSource.orElseThrow();
    }

    int vcpus() {
        return vcpus;
    }

    int memoryMebibytes() {
        return memoryMebibytes;
    }

    Map<String, JsonNode> drives() {
        return drives;
    }

    synchronized Answer answer(String method, String path, String body) throws IOException {
        if (method.equals("GET") && path.equals("/")) {
            return new Answer(
                    200,
                    JSON.createObjectNode()
                            .put("id", id)
                            .put("state", started ? "Running" : "Not started")
                            .put("vmm_version", "1.16.1")
                            .put("app_name", "Firecracker")
                            .toString());
        }
        Optional<FirecrackerRecording.Exchange> refused = recording.stream()
                .filter(exchange -> exchange.code() != 204 && exchange.matches(method, path, body))
                // What a start answers depends on what was configured before.
                .filter(exchange -> !exchange.body().contains("InstanceStart"))
                .filter(exchange -> (exchange.phase() == FirecrackerRecording.Phase.AFTER_BOOT) == started)
                .findFirst();
        if (refused.isPresent()) {
            return new Answer(refused.get().code(), refused.get().answer());
        }
        if (!method.equals("PUT")) {
            return Answer.fault("Invalid request method and/or path: " + method + " " + path.substring(1) + ".");
        }
        if (body.isEmpty()) {
            return Answer.fault("Empty PUT request.");
        }
        JsonNode node;
        try {
            node = JSON.readTree(body);
        } catch (JsonProcessingException e) {
            return Answer.fault(JSON_ERROR + e.getOriginalMessage());
        }
        String[] words = path.substring(1).split("/", -1);
        return switch (words[0]) {
            case "boot-source" -> bootSource(node);
            case "machine-config" -> machineConfig(node);
            case "drives" -> words.length < 2 ? Answer.fault("The ID cannot be empty.") : drive(words[1], node);
            case "network-interfaces" ->
                words.length < 2 ? Answer.fault("The ID cannot be empty.") : network(words[1], node);
            case "actions" -> action(node);
            default -> Answer.fault("Invalid request method and/or path: PUT " + path.substring(1) + ".");
        };
    }

    private Answer bootSource(JsonNode node) {
        Optional<Answer> wrong =
                fields(node, Set.of("kernel_image_path"), Set.of("kernel_image_path", "initrd_path", "boot_args"));
        if (wrong.isPresent()) {
            return wrong.get();
        }
        if (started) {
            return Answer.fault(AFTER_START);
        }
        if (!Files.isReadable(Path.of(node.path("kernel_image_path").asText()))) {
            return Answer.fault(
                    "Boot source error: The kernel file cannot be opened: No such file or directory (os error 2)");
        }
        if (node.has("initrd_path")
                && !Files.isReadable(Path.of(node.path("initrd_path").asText()))) {
            return Answer.fault(
                    "Boot source error: The initrd file cannot be opened due to invalid path or invalid permissions. "
                            + "No such file or directory (os error 2)");
        }
        bootSource = Optional.of(node);
        return Answer.done();
    }

    private Answer machineConfig(JsonNode node) {
        Optional<Answer> wrong = fields(
                node,
                Set.of("vcpu_count", "mem_size_mib"),
                Set.of("vcpu_count", "mem_size_mib", "smt", "cpu_template", "track_dirty_pages", "huge_pages"));
        if (wrong.isPresent()) {
            return wrong.get();
        }
        if (started) {
            return Answer.fault(AFTER_START);
        }
        if (!node.path("vcpu_count").isInt() || !node.path("mem_size_mib").isInt()) {
            return Answer.fault(JSON_ERROR + "invalid type: expected a number at line 1 column 1.");
        }
        int wantedVcpus = node.path("vcpu_count").asInt();
        int wantedMemory = node.path("mem_size_mib").asInt();
        if (wantedVcpus < 1 || wantedVcpus > 32) {
            return Answer.fault("Machine config error: The number of vCPUs must be greater than 0, less than 32 and "
                    + "must be 1 or an even number if SMT is enabled.");
        }
        if (wantedMemory < 1) {
            return Answer.fault("Machine config error: The memory size (MiB) is either 0, or not a multiple of the "
                    + "configured page size.");
        }
        vcpus = wantedVcpus;
        memoryMebibytes = wantedMemory;
        return Answer.done();
    }

    private Answer drive(String pathId, JsonNode node) {
        Optional<Answer> wrong = fields(
                node,
                Set.of("drive_id", "is_root_device"),
                Set.of(
                        "drive_id",
                        "partuuid",
                        "is_root_device",
                        "cache_type",
                        "is_read_only",
                        "path_on_host",
                        "rate_limiter",
                        "io_engine",
                        "socket"));
        if (wrong.isPresent()) {
            return wrong.get();
        }
        if (!node.path("drive_id").asText().equals(pathId)) {
            return Answer.fault("The id from the path does not match the id from the body!");
        }
        if (!pathId.matches("[A-Za-z0-9_]+")) {
            return Answer.fault("API Resource IDs can only contain alphanumeric characters and underscores.");
        }
        if (started) {
            return Answer.fault("PCI is not enabled");
        }
        Path file = Path.of(node.path("path_on_host").asText());
        if (!Files.isReadable(file) || (!node.path("is_read_only").asBoolean() && !Files.isWritable(file))) {
            return Answer.fault("Drive config error: Unable to create the virtio block device: Virtio backend error: "
                    + "Error manipulating the backing file: No such file or directory (os error 2) " + file);
        }
        drives.put(pathId, node);
        return Answer.done();
    }

    private Answer network(String pathId, JsonNode node) {
        Optional<Answer> wrong = fields(
                node,
                Set.of("iface_id", "host_dev_name"),
                Set.of("iface_id", "host_dev_name", "guest_mac", "mtu", "rx_rate_limiter", "tx_rate_limiter"));
        if (wrong.isPresent()) {
            return wrong.get();
        }
        if (!node.path("iface_id").asText().equals(pathId)) {
            return Answer.fault("The id from the path does not match the id from the body!");
        }
        if (!node.path("guest_mac").asText().matches("([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")) {
            return Answer.fault(JSON_ERROR + "The provided MAC address is invalid. at line 1 column 59.");
        }
        return Files.exists(Path.of("/sys/class/net", node.path("host_dev_name").asText()))
                ? Answer.done()
                : Answer.fault("Network config error: Could not create the network device: Open tap device failed: "
                        + "Invalid TUN/TAP Backend provided by "
                        + node.path("host_dev_name").asText()
                        + ". Check our documentation on setting up the network devices.");
    }

    private Answer action(JsonNode node) throws IOException {
        Optional<Answer> wrong = fields(node, Set.of("action_type"), Set.of("action_type"));
        if (wrong.isPresent()) {
            return wrong.get();
        }
        if (!node.path("action_type").asText().equals("InstanceStart")) {
            return started ? Answer.done() : Answer.fault(BEFORE_START);
        }
        if (started) {
            return Answer.fault(AFTER_START);
        }
        if (bootSource.isEmpty()) {
            return Answer.fault("Start microvm error: Cannot start microvm without kernel configuration.");
        }
        byte[] head;
        try (var kernel = Files.newInputStream(
                Path.of(bootSource.get().path("kernel_image_path").asText()))) {
            head = kernel.readNBytes(4);
        }
        if (head.length < 4 || head[0] != 0x7f || head[1] != 'E') {
            return Answer.fault("Start microvm error: System configuration error: Cannot load kernel due to invalid "
                    + "memory configuration or invalid kernel image: Kernel Loader: failed to load bzImage kernel "
                    + "image: Kernel Loader: Invalid bzImage");
        }
        started = true;
        machine.boot(this);
        return Answer.done();
    }

    /** Unknown and missing fields are refused by name. */
    private static Optional<Answer> fields(JsonNode node, Set<String> required, Set<String> known) {
        for (Iterator<String> names = node.fieldNames(); names.hasNext(); ) {
            String name = names.next();
            if (!known.contains(name)) {
                return Optional.of(Answer.fault(JSON_ERROR + "unknown field `" + name + "`, expected one of " + known
                        + " at line 1 column 1."));
            }
        }
        return required.stream()
                .filter(name -> !node.has(name))
                .findFirst()
                .map(name -> Answer.fault(JSON_ERROR + "missing field `" + name + "` at line 1 column 1."));
    }
}
