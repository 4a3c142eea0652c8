package dev.metacircular.acceptance;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;

/**
 * A network of its own on this machine: a bridge on which the operator is, and namespaces joined to it, each with an address of its own
 * and a link that can be cut. Needs root.
 */
final class Lan implements AutoCloseable {
    private final String bridge;
    private final String prefix;
    private final List<String> namespaces = new ArrayList<>();

    Lan(int nodes) {
        String taken =
                ip("-o", "-4", "addr").ok().out() + ip("-4", "route").ok().out();
        int subnet = IntStream.generate(() -> ThreadLocalRandom.current().nextInt(1, 255))
                .limit(1_000)
                .filter(n -> !taken.contains("10.203." + n + "."))
                .findFirst()
                .orElseThrow();
        prefix = "10.203." + subnet + ".";
        bridge = "mct" + subnet;
        try {
            ip("link", "add", bridge, "type", "bridge").ok();
            ip("addr", "add", prefix + "1/24", "dev", bridge).ok();
            ip("link", "set", bridge, "up").ok();
            for (int i = 0; i < nodes; i++) {
                join(i);
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private void join(int node) {
        String namespace = bridge + "-" + node;
        ip("netns", "add", namespace).ok();
        namespaces.add(namespace);
        ip("link", "add", link(node), "type", "veth", "peer", "name", "eth0", "netns", namespace)
                .ok();
        ip("link", "set", link(node), "master", bridge, "up").ok();
        ip("-n", namespace, "addr", "add", address(node) + "/24", "dev", "eth0").ok();
        ip("-n", namespace, "link", "set", "eth0", "up").ok();
        ip("-n", namespace, "link", "set", "lo", "up").ok();
    }

    private String link(int node) {
        return bridge + "v" + node;
    }

    String address(int node) {
        return prefix + (node + 2);
    }

    /** The command that runs another one on a node. */
    List<String> on(int node) {
        return List.of("ip", "netns", "exec", namespaces.get(node));
    }

    Node.Place place(int node, Optional<Path> operator) {
        return new Node.Place(on(node), address(node), operator);
    }

    void cut(int node) {
        ip("link", "set", link(node), "down").ok();
    }

    void mend(int node) {
        ip("link", "set", link(node), "up").ok();
    }

    private static Shell.Result ip(String... arguments) {
        List<String> command = new ArrayList<>(List.of("ip"));
        command.addAll(List.of(arguments));
        return Shell.run(Map.of(), command.toArray(String[]::new));
    }

    @Override
    public void close() {
        for (int i = 0; i < namespaces.size(); i++) {
            ip("link", "del", link(i));
            ip("netns", "del", namespaces.get(i));
        }
        ip("link", "del", bridge);
    }

    /** Why there can be no such network here. */
    static Optional<String> missing() {
        if (!"root".equals(System.getProperty("user.name"))) {
            return Optional.of("network namespaces need root");
        }
        String name = "mct-probe" + ProcessHandle.current().pid() % 10_000;
        Shell.Result made = ip("netns", "add", name);
        Shell.Result linked = ip("link", "add", name, "type", "bridge");
        ip("link", "del", name);
        ip("netns", "del", name);
        return made.exit() == 0 && linked.exit() == 0
                ? Optional.empty()
                : Optional.of("no network namespace or bridge can be made: " + (made.all() + linked.all()).strip());
    }
}
