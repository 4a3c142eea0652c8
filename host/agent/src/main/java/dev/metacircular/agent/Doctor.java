package dev.metacircular.agent;

import dev.metacircular.contract.v1.DoctorResponse;
import dev.metacircular.contract.v1.Finding;
import dev.metacircular.model.Component;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Examines what rootless containers need on this node, and says how to mend what is missing. */
final class Doctor {
    private static final Duration DEADLINE = Duration.ofSeconds(5);
    private static final long LOW_DISK_PERCENT = 10;
    private static final int PERCENT = 100;
    private static final int FIRST_PRIVILEGED_PORT = 1024;
    private static final Instant NOT_BEFORE = Instant.parse("2026-01-01T00:00:00Z");

    /** Asked after, never made. */
    private static final Component NANOS = Component.builder("doctor", "localhost/doctor")
            .runtime(RuntimeKind.UNIKERNEL)
            .kernel(Kernel.NANOS)
            .build();

    private final Path services;
    private final Path socket;
    private final Pki pki;
    private final Observations observations;
    private final Runtimes runtimes;
    private final List<Finding> findings = new ArrayList<>();

    private enum Grade {
        OK,
        WARNING,
        ERROR
    }

    Doctor(Path services, Path socket, Pki pki, Observations observations, Runtimes runtimes) {
        this.services = services;
        this.socket = socket;
        this.pki = pki;
        this.observations = observations;
        this.runtimes = runtimes;
    }

    synchronized DoctorResponse examine() {
        findings.clear();
        subordinateIds();
        lingering();
        cgroups();
        device();
        podman();
        listeningSocket();
        runtimes();
        ports();
        clock();
        disk();
        certificate();
        return DoctorResponse.newBuilder().addAllFindings(findings).build();
    }

    private void find(String check, Grade grade, String message, String fix) {
        findings.add(Finding.newBuilder()
                .setCheck(check)
                .setStatus(grade.toString().toLowerCase(java.util.Locale.ROOT))
                .setMessage(message)
                .setFix(fix)
                .build());
    }

    private static String user() {
        return System.getProperty("user.name", "");
    }

    private void subordinateIds() {
        if (SystemUser.callerIsRoot()) {
            find("subordinate_ids", Grade.WARNING, "the agent runs as root: containers are not rootless", "");
            return;
        }
        SystemUser self = new SystemUser(user(), SystemUser.effectiveUid(), 0, Path.of("/"));
        try {
            boolean has = self.hasSubordinates(SystemUser.SUBUID) && self.hasSubordinates(SystemUser.SUBGID);
            find(
                    "subordinate_ids",
                    has ? Grade.OK : Grade.ERROR,
                    has ? "granted to " + user() : user() + " has no ranges in /etc/subuid and /etc/subgid",
                    has ? "" : "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + user());
        } catch (IOException e) {
            find("subordinate_ids", Grade.ERROR, Main.describe(e), "");
        }
    }

    private void lingering() {
        if (!SystemUser.systemdRuns()) {
            find("lingering", Grade.OK, "no systemd on this node: podman's service runs in a session of its own", "");
            return;
        }
        boolean has = Files.exists(Path.of("/var/lib/systemd/linger", user()));
        find(
                "lingering",
                has || SystemUser.callerIsRoot() ? Grade.OK : Grade.ERROR,
                has ? "on for " + user() : "off: containers would end with the last session of " + user(),
                has ? "" : "sudo loginctl enable-linger " + user());
    }

    private void cgroups() {
        boolean v2 = Files.exists(Path.of("/sys/fs/cgroup/cgroup.controllers"));
        find(
                "cgroups",
                v2 ? Grade.OK : Grade.WARNING,
                v2
                        ? "version 2"
                        : "version 1: limits of rootless containers are not enforced, and statistics not measured",
                v2
                        ? ""
                        : "boot with systemd.unified_cgroup_hierarchy=1, or set limits = \"best-effort\" in agent.toml");
    }

    private void device() {
        Path tun = Path.of("/dev/net/tun");
        boolean usable = Files.isReadable(tun) && Files.isWritable(tun);
        find(
                "tun",
                usable ? Grade.OK : Grade.ERROR,
                usable
                        ? "/dev/net/tun is usable"
                        : "/dev/net/tun is missing or not writable: containers have no network",
                usable ? "" : "sudo modprobe tun && sudo chmod 666 /dev/net/tun");
    }

    private void podman() {
        Optional<Path> podman = Programs.find("podman");
        boolean net = Programs.find("slirp4netns").isPresent()
                || Programs.find("pasta").isPresent();
        find(
                "podman",
                podman.isPresent() ? Grade.OK : Grade.ERROR,
                podman.map(Path::toString).orElse("podman is not installed"),
                podman.isPresent() ? "" : "sudo apt-get install podman");
        find(
                "rootless_network",
                net ? Grade.OK : Grade.ERROR,
                net ? "slirp4netns or pasta is installed" : "neither slirp4netns nor pasta is installed",
                net ? "" : "sudo apt-get install slirp4netns");
        if (podman.isPresent() && !SystemUser.callerIsRoot()) {
            namespace();
        }
    }

    private void namespace() {
        try {
            Programs.Result result = Programs.run(DEADLINE, UserNamespace.enter(List.of("true")));
            find(
                    "user_namespace",
                    result.ok() ? Grade.OK : Grade.ERROR,
                    result.ok()
                            ? "the agent can enter the containers' one"
                            : result.output().replace('\n', ' '),
                    result.ok() ? "" : "sudo apt-get install uidmap");
        } catch (IOException e) {
            find("user_namespace", Grade.ERROR, Main.describe(e), "");
        }
    }

    private void listeningSocket() {
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            find("podman_socket", Grade.OK, socket + " accepts" + (channel.isConnected() ? "" : " late"), "");
        } catch (IOException e) {
            find(
                    "podman_socket",
                    Grade.ERROR,
                    socket + ": " + Main.describe(e),
                    SystemUser.systemdRuns()
                            ? "systemctl --user start podman.socket"
                            : "setsid --fork podman system service --time=0 unix://" + socket);
        }
    }

    private void runtimes() {
        Map<RuntimeKind, Availability> available = observations.refreshAvailability();
        available.forEach((kind, availability) -> {
            switch (availability) {
                case Availability.Available(String version, String accelerator) ->
                    find("runtime_" + kind, Grade.OK, version + (accelerator.isEmpty() ? "" : ", " + accelerator), "");
                // A node may well have no VMs.
                case Availability.Unavailable(String reason) ->
                    find("runtime_" + kind, kind == RuntimeKind.CONTAINER ? Grade.ERROR : Grade.WARNING, reason, "");
            }
        });
        if (available.get(RuntimeKind.UNIKERNEL) instanceof Availability.Available) {
            // A node may well have this kernel not.
            find(
                    "kernel_nanos",
                    Grade.OK,
                    runtimes.of(RuntimeKind.UNIKERNEL)
                            .refusal(NANOS)
                            .map(why -> "not available: " + why)
                            .orElse("images for it can be built"),
                    "");
        }
        observations
                .obstacles()
                .forEach(o -> find(o.check(), o.stops() ? Grade.ERROR : Grade.WARNING, o.what(), o.mend()));
    }

    private void ports() {
        try {
            int first = Integer.parseInt(Files.readString(Path.of("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
                    .strip());
            find(
                    "ports",
                    Grade.OK,
                    "components may publish ports from " + first + " on",
                    first < FIRST_PRIVILEGED_PORT
                            ? ""
                            : "for lower ones: sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80");
        } catch (IOException | NumberFormatException e) {
            find("ports", Grade.WARNING, "the first unprivileged port cannot be told: " + e.getMessage(), "");
        }
    }

    private void clock() {
        boolean plausible = Instant.now().isAfter(NOT_BEFORE);
        find(
                "clock",
                plausible ? Grade.OK : Grade.ERROR,
                "it is " + Instant.now().truncatedTo(java.time.temporal.ChronoUnit.SECONDS)
                        + (plausible ? "" : ", which cannot be: certificates will be refused"),
                plausible ? "" : "sudo timedatectl set-ntp true");
    }

    private void disk() {
        try {
            var store = Files.getFileStore(services);
            long freePercent = store.getUsableSpace() * PERCENT / Math.max(1, store.getTotalSpace());
            boolean low = freePercent < LOW_DISK_PERCENT;
            find(
                    "disk",
                    low ? Grade.WARNING : Grade.OK,
                    freePercent + " % free below " + services,
                    low ? "mcp node clean NODE" : "");
            boolean writable = Files.isWritable(services);
            find(
                    "services_directory",
                    writable ? Grade.OK : Grade.ERROR,
                    services + (writable ? " is writable" : " is not writable for " + user()),
                    writable ? "" : "sudo chown " + user() + " " + services);
        } catch (IOException e) {
            find("disk", Grade.ERROR, services + ": " + Main.describe(e), "sudo mkdir -p " + services);
        }
    }

    private void certificate() {
        try {
            Instant ends = pki.serverEnds();
            boolean soon = ends.isBefore(Instant.now().plus(Pki.RENEW_BEFORE));
            find(
                    "certificate",
                    soon ? Grade.WARNING : Grade.OK,
                    "the server's ends on " + ends,
                    soon
                            ? "look in the agent's events why it was not renewed: mcp events --kind housekeeping_failed"
                            : "");
            Instant authority = pki.authorityEnds();
            boolean last = authority.isBefore(Instant.now().plus(CertificateWatch.AUTHORITY_TOLD_BEFORE));
            find(
                    "authority",
                    last ? Grade.WARNING : Grade.OK,
                    "the node's own ends on " + authority,
                    last ? "stop the agent, mcp-agent renew-ca --dir DIR, start it, then mcp node trust" : "");
        } catch (IOException e) {
            find("certificate", Grade.ERROR, Main.describe(e), "");
        }
    }
}
