package dev.metacircular.runtime.podman;

import dev.metacircular.model.Component;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.InstanceSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An instance's specification as libpod takes it (its {@code SpecGenerator}). */
final class ContainerSpec {
    /** A container's log is begun anew at this size. */
    static final long MAX_LOG_BYTES = 10L << 20;

    private static final long CPU_PERIOD_US = 100_000;

    private ContainerSpec() {}

    /**
     * @param secrets the environment variable's name to the name of podman's secret
     * @param limits whether memory and CPU limits are set
     */
    static Map<String, Object> of(InstanceSpec spec, Map<String, String> secrets, boolean limits) {
        Component component = spec.component();
        Map<String, String> labels = labels(spec);
        if (!secrets.isEmpty()) {
            labels.put(Labels.SECRETS, String.join(",", secrets.values()));
        }
        Map<String, Object> document = frame(spec, labels, spec.volumes());
        document.put("image", spec.imageId());
        document.put("env", environment(component));
        document.put("secret_env", secrets);
        if (!component.command().isEmpty()) {
            document.put("command", component.command());
        }
        component.user().ifPresent(user -> document.put("user", user));
        if (limits) {
            document.put("resource_limits", limits(component));
        }
        return document;
    }

    /** The container that carries an instance of another kind. */
    static Map<String, Object> carrying(InstanceSpec spec, RuntimeKind kind, Carriage carriage) {
        Map<String, String> labels = new LinkedHashMap<>(carriage.labels());
        labels.putAll(labels(spec));
        labels.put(Labels.RUNTIME, kind.toString());
        labels.put(Labels.IMAGE_ID, spec.imageId());
        Map<String, Object> document = frame(spec, labels, carriage.mounts());
        document.put("rootfs", carriage.rootfs().toString());
        document.put("read_only_filesystem", true);
        document.put("command", carriage.command());
        document.put("stdin", false);
        document.put(
                "devices",
                carriage.devices().stream()
                        .map(d -> Map.of("path", d.toString()))
                        .toList());
        document.put("cap_drop", List.of("all"));
        document.put(
                "cap_add",
                carriage.capabilities().stream().sorted().map(c -> "CAP_" + c).toList());
        document.put("no_new_privileges", true);
        // A device may be a group's of the user's, as /dev/kvm is; crun keeps them then, runc knows no such thing.
        document.put("annotations", Map.of("run.oci.keep_original_groups", "1"));
        return document;
    }

    /** What a container has of its component, whatever it runs. */
    private static Map<String, Object> frame(
            InstanceSpec spec, Map<String, String> labels, List<InstanceSpec.Mount> mounts) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("name", spec.identity().component().canonicalName());
        document.put("labels", labels);
        document.put("restart_policy", "no");
        document.put("log_configuration", Map.of("driver", "k8s-file", "size", MAX_LOG_BYTES));
        document.put("mounts", mounts.stream().map(ContainerSpec::mount).toList());
        document.put(
                "portmappings",
                spec.component().ports().stream().map(ContainerSpec::port).toList());
        if (!spec.networks().isEmpty()) {
            document.put("netns", Map.of("nsmode", "bridge"));
            Map<String, Object> networks = new LinkedHashMap<>();
            spec.networks().forEach(a -> networks.put(a.network().name(), Map.of("aliases", a.aliases())));
            document.put("Networks", networks);
        }
        return document;
    }

    private static Map<String, String> labels(InstanceSpec spec) {
        Map<String, String> labels = Labels.of(spec.identity());
        labels.put(Labels.IMAGE, spec.component().image().toString());
        return labels;
    }

    private static Map<String, String> environment(Component component) {
        Map<String, String> environment = new LinkedHashMap<>();
        for (String entry : component.env()) {
            String[] parts = entry.split("=", 2);
            environment.put(parts[0], parts.length == 2 ? parts[1] : "");
        }
        return environment;
    }

    private static Map<String, Object> mount(InstanceSpec.Mount mount) {
        return Map.of(
                "type",
                "bind",
                "source",
                mount.source().toString(),
                "destination",
                mount.target(),
                "options",
                List.of("rbind", mount.readOnly() ? "ro" : "rw"));
    }

    private static Map<String, Object> port(PortMapping port) {
        Map<String, Object> mapping = new LinkedHashMap<>();
        // Podman takes no address for every address, of both families.
        if (!port.address().equals("0.0.0.0")) {
            mapping.put("host_ip", port.address());
        }
        mapping.put("host_port", port.hostPort());
        mapping.put("container_port", port.guestPort());
        mapping.put("protocol", port.protocol().toString());
        return mapping;
    }

    private static Map<String, Object> limits(Component component) {
        Map<String, Object> limits = new LinkedHashMap<>();
        component.memoryMb().ifPresent(mb -> limits.put("memory", Map.of("limit", (long) mb << 20)));
        component
                .cpus()
                .ifPresent(cpus ->
                        limits.put("cpu", Map.of("period", CPU_PERIOD_US, "quota", Math.round(cpus * CPU_PERIOD_US))));
        return limits;
    }

    /** What of the component's limits a node must be able to enforce: names of cgroup controllers. */
    static List<String> controllers(Component component) {
        List<String> controllers = new ArrayList<>();
        if (component.memoryMb().isPresent()) {
            controllers.add("memory");
        }
        if (component.cpus().isPresent()) {
            controllers.add("cpu");
        }
        return controllers;
    }
}
