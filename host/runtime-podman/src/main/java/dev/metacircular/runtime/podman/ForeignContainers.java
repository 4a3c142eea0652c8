package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.Component;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.Volume;
import dev.metacircular.runtime.Foreign;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Containers that someone else made, read from podman's record of them. */
final class ForeignContainers implements Foreign {
    /** What podman sets by itself. */
    private static final Set<String> OWN_ENV = Set.of("container", "HOSTNAME", "HOME", "TERM", "PATH");

    private static final long CPU_PERIOD_US = 100_000;
    private static final double NANOS = 1e9;

    private final Libpod libpod;
    private final Containers containers;

    ForeignContainers(Libpod libpod, Containers containers) {
        this.libpod = libpod;
        this.containers = containers;
    }

    @Override
    public Description describe(InstanceId instance, Name name) {
        String purpose = "describe " + instance;
        JsonNode container = containers.inspect(purpose, instance);
        JsonNode image = image(purpose, container);
        List<String> lost = new ArrayList<>();
        Component.Builder component = Component.builder(name.value(), reference(container));
        component.ports(ports(container, lost));
        component.volumes(volumes(container, lost));
        component.env(environment(container, image));
        command(container, image, lost).ifPresent(component::command);
        String user = container.path("Config").path("User").asText("");
        if (!user.isEmpty() && !user.equals(image.path("User").asText(""))) {
            component.user(user);
        }
        JsonNode host = container.path("HostConfig");
        String policy = policy(host);
        RestartPolicy.parse(policy).ifPresent(component::restart);
        limits(host, component);
        networks(container, component, lost);
        others(host, lost);
        return new Description(component.build(), lost, policy);
    }

    private JsonNode image(String purpose, JsonNode container) {
        try {
            return libpod.read(Request.get(
                            purpose,
                            Libpod.path(
                                    "/images/{}/json", container.path("Image").asText())))
                    .path("Config");
        } catch (RuntimeFailure e) {
            if (e.kind() == Kind.NOT_FOUND) {
                return container.path("NoImage");
            }
            throw e;
        }
    }

    private static String reference(JsonNode container) {
        String text = container.path("ImageName").asText("");
        try {
            return ImageRef.parse(text).toString();
        } catch (IllegalArgumentException e) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, "its image has no name that a definition can give: " + text, e);
        }
    }

    private static List<PortMapping> ports(JsonNode container, List<String> lost) {
        List<PortMapping> ports = new ArrayList<>();
        for (Map.Entry<String, JsonNode> binding :
                container.path("HostConfig").path("PortBindings").properties()) {
            for (JsonNode published : binding.getValue()) {
                String address = published.path("HostIp").asText("");
                String text = (address.isEmpty() ? "" : (address.contains(":") ? "[" + address + "]" : address) + ":")
                        + published.path("HostPort").asText("") + ":" + binding.getKey();
                try {
                    ports.add(PortMapping.parse(text));
                } catch (IllegalArgumentException _) {
                    lost.add("port " + text);
                }
            }
        }
        return ports;
    }

    private static List<Volume> volumes(JsonNode container, List<String> lost) {
        List<Volume> volumes = new ArrayList<>();
        for (JsonNode mount : container.path("Mounts")) {
            String target = mount.path("Destination").asText("");
            String text = mount.path("Source").asText("") + ":" + target
                    + (mount.path("RW").asBoolean(true) ? "" : ":ro");
            if (!mount.path("Type").asText("").equals("bind")) {
                lost.add("podman's volume " + mount.path("Name").asText("") + " at " + target
                        + ": copy its content to a directory of the service's");
                continue;
            }
            try {
                volumes.add(Volume.parse(text));
            } catch (IllegalArgumentException _) {
                lost.add("volume " + text);
            }
        }
        return volumes;
    }

    private static List<String> environment(JsonNode container, JsonNode image) {
        List<String> ofImage = texts(image.path("Env"));
        return texts(container.path("Config").path("Env")).stream()
                .filter(e -> !ofImage.contains(e) && !OWN_ENV.contains(e.split("=", 2)[0]))
                .toList();
    }

    private static Optional<List<String>> command(JsonNode container, JsonNode image, List<String> lost) {
        List<String> entrypoint = words(container.path("Config").path("Entrypoint"));
        if (!entrypoint.equals(words(image.path("Entrypoint")))) {
            lost.add("its entry point " + entrypoint + ", which is not its image's");
        }
        List<String> command = texts(container.path("Config").path("Cmd"));
        return command.isEmpty() || command.equals(texts(image.path("Cmd"))) ? Optional.empty() : Optional.of(command);
    }

    /** Podman 4 tells an entry point as one text, podman 5 as a list. */
    private static List<String> words(JsonNode node) {
        return node.isArray()
                ? texts(node)
                : List.of(node.asText("").split(" ")).stream()
                        .filter(w -> !w.isEmpty())
                        .toList();
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(t -> texts.add(t.asText()));
        return texts;
    }

    private static String policy(JsonNode host) {
        String name = host.path("RestartPolicy").path("Name").asText("");
        int count = host.path("RestartPolicy").path("MaximumRetryCount").asInt();
        return name.isEmpty() ? "no" : name.equals("on-failure") && count > 0 ? name + ":" + count : name;
    }

    private static void limits(JsonNode host, Component.Builder component) {
        long memory = host.path("Memory").asLong();
        if (memory > 0) {
            component.memoryMb((int) Math.max(1, memory >> 20));
        }
        double cpus = host.path("NanoCpus").asLong() / NANOS;
        long period = host.path("CpuPeriod").asLong(CPU_PERIOD_US);
        if (cpus <= 0 && host.path("CpuQuota").asLong() > 0 && period > 0) {
            cpus = (double) host.path("CpuQuota").asLong() / period;
        }
        if (cpus > 0) {
            component.cpus(cpus);
        }
    }

    private static void networks(JsonNode container, Component.Builder component, List<String> lost) {
        boolean taken = false;
        Iterator<String> names =
                container.path("NetworkSettings").path("Networks").fieldNames();
        while (names.hasNext()) {
            String network = names.next();
            if (network.equals("podman") || network.equals("bridge")) {
                continue;
            }
            if (!taken && Name.isValid(network)) {
                component.network(Name.of(network));
                taken = true;
            } else {
                lost.add("network " + network);
            }
        }
        String mode = container.path("HostConfig").path("NetworkMode").asText("");
        if (mode.equals("host") || mode.startsWith("container:") || mode.startsWith("ns:")) {
            lost.add("its network mode " + mode);
        }
    }

    private static void others(JsonNode host, List<String> lost) {
        if (host.path("Privileged").asBoolean()) {
            lost.add("that it is privileged");
        }
        for (String key : List.of("CapAdd", "CapDrop", "Devices", "ExtraHosts", "Dns")) {
            if (!host.path(key).isEmpty()) {
                lost.add(key + " " + host.path(key));
            }
        }
    }

    @Override
    public void rename(InstanceId instance, String name) {
        Request request = Request.post(
                "rename " + instance, Libpod.path("/containers/{}/rename?name={}", instance.value(), name));
        if (containers.find(instance).filter(i -> i.name().equals(name)).isPresent()) {
            return;
        }
        Answer answer = libpod.change(request);
        if (!answer.isSuccess()) {
            throw Libpod.failure(request, answer);
        }
    }
}
