package dev.metacircular.ukernel;

import dev.metacircular.model.Problem;
import dev.metacircular.vm.Accelerator;
import dev.metacircular.vm.Finding;
import dev.metacircular.vm.FirecrackerDriver;
import dev.metacircular.vm.QemuDriver;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmDriver;
import dev.metacircular.vm.VmException;
import dev.metacircular.vm.VmId;
import dev.metacircular.vm.VmSpec;
import dev.metacircular.vm.VmState;
import dev.metacircular.vm.VmStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The VMs of this user on this machine.
 *
 * @param state folder of the VMs' state directories
 * @param cache folder of what can be found out again
 * @param searchPath the process's {@code PATH}
 */
record Machines(Path state, Path cache, String searchPath) {
    /** So many ended VMs are kept, for their logs; older ones go when a new one starts. */
    static final int ENDED_KEPT = 10;

    private static final int NUMBERS_TRIED = 10_000;
    private static final int STARTS_TRIED = 100;

    /** In the folders that the XDG base directory specification names. */
    static Machines of(Map<String, String> environment) {
        Path home = Path.of(environment.getOrDefault("HOME", "/"));
        return new Machines(
                folder(environment, "XDG_STATE_HOME", home.resolve(".local/state"))
                        .resolve("vms"),
                folder(environment, "XDG_CACHE_HOME", home.resolve(".cache")),
                environment.getOrDefault("PATH", ""));
    }

    private static Path folder(Map<String, String> environment, String variable, Path otherwise) {
        String value = environment.getOrDefault(variable, "");
        return (value.startsWith("/") ? Path.of(value) : otherwise).resolve("ukernel");
    }

    VmStore store() {
        return new VmStore(state);
    }

    /** The drivers of this version in the order of preference. */
    List<VmDriver> drivers() {
        return List.of(new FirecrackerDriver(FirecrackerDriver.findIn(searchPath), state, cache), qemu());
    }

    private QemuDriver qemu() {
        return new QemuDriver(QemuDriver.findIn(searchPath), state, cache);
    }

    /**
     * The driver of this name. Without one, Firecracker where it is installed, KVM works and it does what is asked for; QEMU
     * otherwise.
     */
    VmDriver driver(Optional<String> name, Set<VmDriver.Feature> needed) {
        List<VmDriver> drivers = drivers();
        if (name.isEmpty()) {
            return drivers.stream()
                    .filter(driver -> driver.features().containsAll(needed))
                    .filter(driver -> driver.features().contains(VmDriver.Feature.EMULATION) || kvmWorksFor(driver))
                    .findFirst()
                    .orElseGet(this::qemu);
        }
        return drivers.stream()
                .filter(driver -> driver.name().equals(name.get()))
                .findFirst()
                .orElseThrow(() -> Problem.of(Problem.Kind.INVALID, "there is no VMM '" + name.get() + "'")
                        .next("--vmm "
                                + String.join(
                                        ", or --vmm ",
                                        drivers.stream().map(VmDriver::name).toList()))
                        .exception());
    }

    private boolean kvmWorksFor(VmDriver driver) {
        return driver.diagnose().stream().noneMatch(finding -> finding.status() == Finding.Status.BLOCKING)
                && (QemuDriver.findIn(searchPath).isEmpty()
                        || qemu().accelerationFor(Optional.empty()).accelerator() == Accelerator.KVM);
    }

    /** All VMs whose state can be read, the newest first. */
    List<VirtualMachine> all() {
        return store().list().stream()
                .flatMap(entry ->
                        entry instanceof VmStore.Entry.Found(VirtualMachine vm) ? Stream.of(vm) : Stream.empty())
                .sorted(Comparator.comparing((VirtualMachine vm) -> vm.info().startedAt())
                        .reversed())
                .toList();
    }

    /** What is wrong with state directories that cannot be read. */
    List<String> broken() {
        return store().list().stream()
                .flatMap(entry ->
                        entry instanceof VmStore.Entry.Broken broken ? Stream.of(broken.why()) : Stream.empty())
                .toList();
    }

    /** The smallest free name of the form {@code project-number}. */
    VmId freeId(String project) {
        for (int number = 1; number <= NUMBERS_TRIED; number++) {
            String suffix = "-" + number;
            String stem = project.substring(0, Math.min(project.length(), 63 - suffix.length()));
            if (!Files.exists(state.resolve(stem + suffix))) {
                return new VmId(stem + suffix);
            }
        }
        throw Problem.of(Problem.Kind.EXHAUSTED, "there are %d VMs of '%s'".formatted(NUMBERS_TRIED, project))
                .next("ukernel stop NAME")
                .exception();
    }

    /**
     * Starts a VM of the project under the smallest free name. Another process may take a name after it was found free: then it is the next.
     *
     * @param spec the VM that is wanted, of a given name
     */
    VirtualMachine start(VmDriver driver, String project, Function<VmId, VmSpec> spec) {
        for (int tries = 1; ; tries++) {
            try {
                return driver.start(spec.apply(freeId(project)));
            } catch (VmException e) {
                if (e.fault() != VmException.Fault.NAME_TAKEN || tries == STARTS_TRIED) {
                    throw e;
                }
            }
        }
    }

    /** Removes the oldest ended VMs beyond those that are kept. */
    void prune() {
        all().stream()
                .filter(vm -> vm.state() instanceof VmState.Ended)
                .skip(ENDED_KEPT)
                .forEach(vm -> {
                    try {
                        vm.remove();
                    } catch (VmException e) {
                        // Another process may remove it at the same time; what stays is pruned next time.
                        return;
                    }
                });
    }

    /**
     * The VM of this name; without one, the newest of the given project, or the newest of all where there is no project.
     *
     * @param onlyRunning whether ended ones count
     */
    VirtualMachine find(Optional<String> name, Optional<Project> project, boolean onlyRunning) {
        if (name.isPresent()) {
            Optional<VirtualMachine> found = isId(name.get()) ? store().find(new VmId(name.get())) : Optional.empty();
            return found.orElseThrow(() -> Problem.of(Problem.Kind.NOT_FOUND, "there is no VM '" + name.get() + "'")
                    .next("ukernel ps --all")
                    .exception());
        }
        return all().stream()
                .filter(vm -> !onlyRunning || !(vm.state() instanceof VmState.Ended))
                .filter(vm -> project.isEmpty() || isOf(vm, project.get()))
                .findFirst()
                .orElseThrow(() -> Problem.of(
                                Problem.Kind.NOT_FOUND,
                                "there is no %sVM%s"
                                        .formatted(
                                                onlyRunning ? "running " : "",
                                                project.map(p -> " of the project '" + p.name() + "'")
                                                        .orElse("")))
                        .next("ukernel ps --all")
                        .exception());
    }

    private static boolean isId(String name) {
        return name.matches("[a-z0-9][a-z0-9._-]{0,62}");
    }

    private static boolean isOf(VirtualMachine vm, Project project) {
        return vm.info().kernel().startsWith(project.folder());
    }

    /** Makes the folders of this user's VMs. */
    void prepare() {
        for (Path folder : List.of(state, cache)) {
            try {
                Files.createDirectories(folder);
            } catch (IOException e) {
                throw Problem.of(Problem.Kind.FAILED, "cannot make the folder (" + e + ")")
                        .at(folder.toString())
                        .next("make it writable, or set XDG_STATE_HOME and XDG_CACHE_HOME")
                        .exception();
            }
        }
    }
}
