package dev.metacircular.agent;

import dev.metacircular.definition.AgentConfig;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The systemd unit of an agent: of the machine's systemd, restricted, where root made the node; of the user's own otherwise.
 *
 * <p>Containers are never below this unit. They belong to podman's service, which the user's own systemd manager starts, so the
 * restrictions hold for the agent alone and its end leaves them running.
 *
 * @param directory the agent's
 * @param user whom the agent runs as
 * @param program the launcher {@code mcp-agent}
 * @param forMachine whether it is for the machine's systemd
 */
record UnitFile(Path directory, SystemUser user, Path program, AgentConfig config, boolean forMachine) {
    static final String NAME = "mcp-agent.service";
    private static final Path MACHINE_UNITS = Path.of("/etc/systemd/system");
    /** What the unit hides; what the configuration names below them is shown again. */
    private static final List<Path> HIDDEN = List.of(Path.of("/home"), Path.of("/root"));

    /** Where systemd looks for it. */
    Path place() {
        return (forMachine ? MACHINE_UNITS : user.home().resolve(".config/systemd/user")).resolve(NAME);
    }

    String text() {
        return forMachine ? machineUnit() : userUnit();
    }

    /** What its operator types to start it now and at each boot. */
    String enableCommand() {
        return "systemctl " + (forMachine ? "" : "--user ") + "enable --now " + NAME.replace(".service", "");
    }

    private String userUnit() {
        return """
                [Unit]
                Description=Metacircular agent of node %s
                After=podman.socket

                [Service]
                Type=exec
                WorkingDirectory=%s
                ExecStart=%s
                Restart=always
                RestartSec=1
                RestartPreventExitStatus=2
                SuccessExitStatus=143
                TimeoutStopSec=30
                UMask=0077
                NoNewPrivileges=yes

                [Install]
                WantedBy=default.target
                """.formatted(config.node(), quote(directory), start());
    }

    private String machineUnit() {
        String manager = "user@" + user.uid() + ".service";
        return """
                # Made by mcp-agent; settings of your own belong into mcp-agent.service.d/*.conf beside it.
                [Unit]
                Description=Metacircular agent of node %1$s
                Wants=network-online.target %2$s
                After=network-online.target %2$s
                StartLimitIntervalSec=0

                [Service]
                Type=exec
                User=%3$s
                WorkingDirectory=%4$s
                Environment=XDG_RUNTIME_DIR=%5$s
                ExecStart=%6$s
                Restart=always
                RestartSec=1
                # A faulty agent.toml is no better the next time.
                RestartPreventExitStatus=2
                SuccessExitStatus=143
                TimeoutStopSec=30
                UMask=0077

                # The agent needs no privilege: what does, podman's own service does under the user's manager.
                NoNewPrivileges=yes
                CapabilityBoundingSet=
                AmbientCapabilities=
                SystemCallArchitectures=native
                SystemCallFilter=@system-service
                SystemCallFilter=~@privileged @resources
                # Files get the owners that they have in the containers' user namespace.
                SystemCallFilter=@chown
                SystemCallErrorNumber=EPERM
                # A health check joins a container's user and network namespace, a change of files the containers' user and mount namespace.
                RestrictNamespaces=user net mnt
                RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
                RestrictRealtime=yes
                LockPersonality=yes
                # Not MemoryDenyWriteExecute: the JVM compiles at run time. Not PrivateUsers: it could not join the containers' namespace.
                # Not RestrictSUIDSGID: it takes openat2 away, by which a transfer of a file stays below its service's folder.

                ProtectSystem=strict
                ReadWritePaths=%7$s
                ProtectHome=read-only
                %8$s
                PrivateTmp=yes
                PrivateMounts=yes
                ProtectKernelTunables=yes
                ProtectKernelModules=yes
                ProtectKernelLogs=yes
                ProtectControlGroups=yes
                ProtectClock=yes
                ProtectHostname=yes
                ProtectProc=invisible
                RemoveIPC=yes
                PrivateDevices=yes
                # These two are looked at, to tell what the node can do.
                BindPaths=-/dev/kvm -/dev/net/tun
                DevicePolicy=closed
                DeviceAllow=/dev/kvm rw
                DeviceAllow=/dev/net/tun rw

                [Install]
                WantedBy=multi-user.target
                """.formatted(
                config.node(),
                manager,
                user.name(),
                quote(directory),
                user.runtimeDirectory(),
                start(),
                written().map(p -> quote("-" + p)).collect(Collectors.joining(" ", "", " -" + user.runtimeDirectory())),
                homes());
    }

    /** Where podman looks for the certificates of registries with an authority of their own, which the agent puts there. */
    Path certificates() {
        return user.home().resolve(".config/containers/certs.d");
    }

    private Stream<Path> written() {
        return Stream.of(directory, config.services(), certificates()).distinct();
    }

    private String start() {
        return quote(program) + " run --dir " + quote(directory);
    }

    /** Empties the homes, but for what the agent was told to use there. */
    private String homes() {
        Set<String> shown = new LinkedHashSet<>();
        Stream.of(
                        Stream.of(program.getParent() == null ? program : program.getParent()),
                        config.allowedHostPaths().stream(),
                        config.alert().stream().map(a -> Path.of(a.command().getFirst())),
                        config.registries().values().stream().flatMap(UnitFile::files),
                        config.podmanSocket().stream(),
                        Stream.of(config.opsHome().orElse(user.home()).resolve(".ops")))
                .flatMap(s -> s)
                .filter(UnitFile::isHidden)
                .forEach(p -> shown.add("BindReadOnlyPaths=" + quote("-" + p)));
        written().filter(UnitFile::isHidden).forEach(p -> shown.add("BindPaths=" + quote("-" + p)));
        String hidden =
                HIDDEN.stream().map(p -> p + ":ro").collect(Collectors.joining(" ", "TemporaryFileSystem=", ""));
        return shown.isEmpty() ? hidden : hidden + "\n" + String.join("\n", shown);
    }

    private static Stream<Path> files(AgentConfig.Registry registry) {
        return Stream.of(registry.authFile(), registry.ca()).flatMap(Optional::stream);
    }

    private static boolean isHidden(Path path) {
        return HIDDEN.stream().anyMatch(path::startsWith);
    }

    private static String quote(Path path) {
        return quote(path.toString());
    }

    /** As systemd.syntax(7) and systemd.unit(5) want it: percent signs doubled, odd characters in quotes. */
    private static String quote(String text) {
        String plain = text.replace("%", "%%");
        return plain.matches("[A-Za-z0-9_./:@%+,=-]+")
                ? plain
                : "\"" + plain.replace("\\", "\\\\").replace("\"", "\\\"").replace("$", "$$") + "\"";
    }
}
