package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.metacircular.model.PortMapping;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * A listing of containers that is asked for again and again. Podman tells the same of the same to the byte, so an answer that is the one
 * before is not read again. For one thread at a time.
 */
final class ContainerListing {
    /** A longer answer is read each time rather than kept. */
    private static final int MAX_KEPT_BYTES = 4 << 20;

    private final Supplier<byte[]> question;
    private final UnaryOperator<List<Instance>> selection;
    private byte[] lastAnswer = {};
    private List<Instance> lastInstances = List.of();

    /**
     * @param question asks podman
     * @param selection what of the listing is wanted
     */
    ContainerListing(Supplier<byte[]> question, UnaryOperator<List<Instance>> selection) {
        this.question = question;
        this.selection = selection;
    }

    List<Instance> ask() {
        byte[] answer = question.get();
        if (answer.length == 0 || !Arrays.equals(answer, lastAnswer)) {
            lastInstances = selection.apply(read(answer));
            lastAnswer = answer.length <= MAX_KEPT_BYTES ? answer : new byte[0];
        }
        return lastInstances;
    }

    /** @throws RuntimeFailure if it is no listing: whatever answered is not a working podman */
    static List<Instance> read(byte[] answer) {
        try (JsonParser json = Json.MAPPER.createParser(answer)) {
            List<Instance> instances = new ArrayList<>();
            JsonToken begin = json.nextToken();
            if (begin == JsonToken.VALUE_NULL) {
                return List.of();
            }
            if (begin != JsonToken.START_ARRAY) {
                throw new RuntimeFailure(Kind.UNREACHABLE, "podman's answer is not a list");
            }
            while (json.nextToken() == JsonToken.START_OBJECT) {
                new Entry().read(json, instances);
            }
            if (json.currentToken() != JsonToken.END_ARRAY) {
                throw new RuntimeFailure(Kind.UNREACHABLE, "podman's answer is not a list of containers");
            }
            return List.copyOf(instances);
        } catch (IOException e) {
            throw new RuntimeFailure(Kind.UNREACHABLE, "podman's answer is not JSON", e);
        }
    }

    /** One container of a listing; what podman tells besides is passed over. */
    private static final class Entry {
        private String id = "";
        private String name = "";
        private String image = "";
        private String imageId = "";
        private String state = "";
        private String created = "";
        private long startedAt;
        private long exitedAt;
        private int exitCode;
        private boolean infra;
        private final Map<String, String> labels = new HashMap<>();
        private final List<PortMapping> ports = new ArrayList<>();

        void read(JsonParser json, List<Instance> instances) throws IOException {
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String field = json.currentName();
                JsonToken value = json.nextToken();
                if (value == JsonToken.START_OBJECT || value == JsonToken.START_ARRAY) {
                    readCompound(field, json);
                } else {
                    readScalar(field, json);
                }
            }
            if (!infra) {
                instances.add(Containers.instance(
                        id,
                        name,
                        labels,
                        image,
                        imageId,
                        Containers.state(state, startedAt, exitedAt, exitCode),
                        created,
                        ports));
            }
        }

        private void readScalar(String field, JsonParser json) throws IOException {
            switch (field) {
                case "Id" -> id = json.getValueAsString("");
                case "Image" -> image = json.getValueAsString("");
                case "ImageID" -> imageId = json.getValueAsString("");
                case "State" -> state = json.getValueAsString("");
                case "Created" -> created = json.getValueAsString("");
                case "StartedAt" -> startedAt = json.getValueAsLong();
                case "ExitedAt" -> exitedAt = json.getValueAsLong();
                case "ExitCode" -> exitCode = json.getValueAsInt();
                case "IsInfra" -> infra = json.getValueAsBoolean();
                default -> {}
            }
        }

        private void readCompound(String field, JsonParser json) throws IOException {
            switch (field) {
                case "Names" -> {
                    while (json.nextToken() != JsonToken.END_ARRAY) {
                        name = name.isEmpty() ? json.getValueAsString("") : name;
                    }
                }
                case "Labels" -> {
                    while (json.nextToken() == JsonToken.FIELD_NAME) {
                        String label = json.currentName();
                        json.nextToken();
                        labels.put(label, json.getValueAsString(""));
                    }
                }
                case "Ports" -> {
                    while (json.nextToken() == JsonToken.START_OBJECT) {
                        readPort(json);
                    }
                }
                default -> json.skipChildren();
            }
        }

        private void readPort(JsonParser json) throws IOException {
            String address = "";
            String protocol = "tcp";
            int host = 0;
            int guest = 0;
            int range = 1;
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String field = json.currentName();
                json.nextToken();
                switch (field) {
                    case "host_ip" -> address = json.getValueAsString("");
                    case "protocol" -> protocol = json.getValueAsString("tcp");
                    case "host_port" -> host = json.getValueAsInt();
                    case "container_port" -> guest = json.getValueAsInt();
                    case "range" -> range = json.getValueAsInt(1);
                    default -> json.skipChildren();
                }
            }
            Containers.addPorts(ports, address, host, guest, protocol, range);
        }
    }
}
