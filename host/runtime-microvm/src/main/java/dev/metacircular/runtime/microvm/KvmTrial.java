package dev.metacircular.runtime.microvm;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.microvm.MicrovmOptions.Vmm;
import dev.metacircular.runtime.microvm.StateDirectories.State;
import dev.metacircular.runtime.podman.Carriage;
import dev.metacircular.runtime.podman.PodmanRuntime;
import dev.metacircular.vm.CarriedVm;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Finds out whether KVM works inside a carrier, by booting a test guest there: the agent itself may be kept from the device, and on some
 * nested hosts KVM is there and a thousand times too slow. Tried in the background, once for each boot of the node and each VMM; where it does
 * not work, again when the agent starts an hour later, or with other groups, or after the device's owner or mode changed.
 */
final class KvmTrial {
    private static final System.Logger LOG = System.getLogger(KvmTrial.class.getName());

    /** @param reason for a person */
    record Answer(boolean works, String reason) {}

    /** The VMM that tries it. */
    record By(Vmm vmm, Path program) {}

    private static final Name NAME = Name.of("mc-kvm-trial");
    private static final Path BOOT = Path.of("/proc/sys/kernel/random/boot_id");
    private static final Path DEVICE = Path.of("/dev/kvm");
    private static final Duration FAILURE_HOLDS = Duration.ofHours(1);
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final Duration RETRY = Duration.ofMinutes(5);
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final Duration POLL = Duration.ofMillis(50);
    /** A KVM that works takes a tenth of a second of a processor; one that is too slow half a minute. A busy node may be long about either. */
    private static final String SCRIPT = """
            said=$(ulimit -t 5; exec timeout 20 setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@" 2>/vm/errors </dev/null)
            [ "$said" != "$WORKS" ] || exit 0
            head -n 1 /vm/errors | grep . || echo "no answer from a test guest within 5 s of a processor's time"
            exit 1
            """.replace("$WORKS", CarriedVm.KvmTrial.WORKS);

    private final Path folder;
    private final AtomicBoolean underWay = new AtomicBoolean();
    private volatile Optional<Carrying> carrying = Optional.empty();
    private volatile Instant due = Instant.MIN;
    private volatile Optional<Answer> last = Optional.empty();

    KvmTrial(Path folder) {
        this.folder = folder;
    }

    /** @param underWay what is being made, which nobody collects */
    record Carrying(PodmanRuntime podman, Name node, Set<Making> underWay) {}

    void by(Carrying one) {
        carrying = Optional.of(one);
    }

    Optional<Answer> last() {
        return last;
    }

    /** What is known; begins to find it out where nothing is. */
    Optional<Answer> ask(By by) {
        if (last.isPresent()) {
            return last;
        }
        String key = key(by.program());
        last = remembered(key);
        if (last.isEmpty() && !Instant.now().isBefore(due) && underWay.compareAndSet(false, true)) {
            due = Instant.now().plus(RETRY);
            carrying.ifPresent(one -> Thread.ofVirtual().name("kvm-trial").start(() -> find(one, by, key)));
        }
        return last;
    }

    /** As {@link #ask}, but for a while waits for an answer that is being found out: what is made now keeps what it got. */
    Optional<Answer> await(By by) {
        Instant end = Instant.now().plus(PATIENCE);
        try {
            while (ask(by).isEmpty() && underWay.get() && Instant.now().isBefore(end)) {
                Thread.sleep(POLL);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return last;
    }

    private void find(Carrying one, By by, String key) {
        try {
            Answer answer = run(one, by);
            remember(key, answer);
            last = Optional.of(answer);
            LOG.log(Level.INFO, "KVM {0}: {1}", answer.works() ? "works" : "does not work", answer.reason());
        } catch (RuntimeFailure | IOException e) {
            LOG.log(Level.WARNING, "cannot find out whether KVM works: {0}", e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            underWay.set(false);
        }
    }

    private Answer run(Carrying one, By by) throws IOException, InterruptedException {
        Files.createDirectories(folder);
        PodmanRuntime runtime = one.podman();
        Identity identity = new Identity(
                NAME,
                // Several nodes may have one podman, each its own trial.
                new ComponentId(NAME, one.node()),
                ProcessHandle.current().pid(),
                by.program().toString());
        InstanceSpec spec = new InstanceSpec(
                identity,
                Component.builder(NAME.value(), "localhost/" + NAME + ":v1")
                        .runtime(RuntimeKind.UNIKERNEL)
                        .command(List.of(by.vmm().name(), by.program().toString()))
                        .build(),
                "",
                List.of(),
                List.of(),
                Map.of(),
                false);
        // One that a crash left.
        runtime.named(identity.component().canonicalName()).filter(KvmTrial::is).ifPresent(i -> runtime.remove(i.id()));
        Making making = new Making();
        one.underWay().add(making);
        try {
            InstanceId id = ScopedValue.where(Making.NOW, making).call(() -> runtime.create(spec));
            try {
                return run(runtime, id);
            } finally {
                runtime.remove(id);
            }
        } finally {
            try {
                making.key().ifPresent(new StateDirectories(folder)::remove);
            } finally {
                one.underWay().remove(making);
            }
        }
    }

    private static Answer run(PodmanRuntime runtime, InstanceId id) throws InterruptedException {
        Instant end = Instant.now().plus(LIMIT);
        runtime.start(id);
        while (Instant.now().isBefore(end)) {
            Optional<InstanceState> state = runtime.inspect(id).map(Instance::state);
            if (state.isPresent() && state.get() instanceof InstanceState.Ended ended) {
                return ended.exitStatus() == 0
                        ? new Answer(true, "it ran a test guest")
                        : new Answer(false, lastLine(runtime, id));
            }
            Thread.sleep(POLL);
        }
        return new Answer(false, "the test guest's carrier does not end");
    }

    private static String lastLine(PodmanRuntime runtime, InstanceId id) {
        List<String> lines = new ArrayList<>(List.of("no message"));
        runtime.logs(id, LogOptions.lastLines(1), new LogSink() {
            @Override
            public void line(Instant time, Stream stream, String text) {
                lines.add(text);
            }

            @Override
            public boolean isCancelled() {
                return false;
            }
        });
        return lines.getLast();
    }

    static boolean is(InstanceSpec spec) {
        return spec.identity().node().equals(NAME);
    }

    static boolean is(Instance instance) {
        return instance.identity().filter(i -> i.node().equals(NAME)).isPresent();
    }

    Carriage carriage(StateDirectories directories, InstanceSpec spec) {
        String key = directories.newKey(spec.identity());
        Making.NOW.get().key(key);
        Path program = Path.of(spec.component().command().getLast());
        boolean firecracker = Vmm.valueOf(spec.component().command().getFirst()) == Vmm.FIRECRACKER;
        Path image = Path.of("/image");
        Optional<String> configuration =
                firecracker ? Optional.of(CarriedVm.KvmTrial.firecrackerConfiguration(image)) : Optional.empty();
        State state = directories.make(key, kernel(), new byte[0], configuration, 0);
        List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", SCRIPT, "kvm-trial"));
        Path inside = VmmPrograms.inside(program);
        command.addAll(
                firecracker
                        ? CarriedVm.KvmTrial.firecracker(inside, Path.of("/vmm.json"))
                        : CarriedVm.KvmTrial.qemu(inside, image));
        return new Carriage(
                state.root(),
                command,
                Carrier.mounts(state, program),
                List.of(DEVICE),
                Set.of("SETPCAP"),
                Map.of(Carrier.LABEL, key));
    }

    private Path kernel() {
        Path file = folder.resolve("kvm-trial.elf");
        try {
            Path fresh = Files.createTempFile(folder, "kvm-trial", ".new");
            Files.write(fresh, CarriedVm.KvmTrial.kernel());
            Files.setPosixFilePermissions(fresh, java.nio.file.attribute.PosixFilePermissions.fromString("rw-r--r--"));
            return Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new RuntimeFailure(RuntimeFailure.Kind.FAILED, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }

    private static String key(Path program) {
        try {
            return Files.readString(BOOT).strip() + " " + program + " "
                    + Files.getLastModifiedTime(program).toMillis() + " "
                    + Files.getAttribute(DEVICE, "unix:uid") + " "
                    + Files.getAttribute(DEVICE, "unix:gid") + " "
                    + Files.getAttribute(DEVICE, "unix:mode") + groups();
        } catch (IOException e) {
            return "unknown";
        }
    }

    /** Of this process; nothing mends what keeps it from the device but another one, or the device. */
    private static String groups() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(l -> l.startsWith("Groups:"))
                .findFirst()
                .map(l -> l.substring("Groups:".length()).stripTrailing())
                .orElse("");
    }

    private Optional<Answer> remembered(String key) {
        Path file = folder.resolve("kvm-trial");
        try {
            List<String> lines = Files.readAllLines(file);
            if (lines.size() != 3 || !lines.getFirst().equals(key)) {
                return Optional.empty();
            }
            boolean works = lines.get(1).equals("works");
            Duration age = Duration.between(Files.getLastModifiedTime(file).toInstant(), Instant.now());
            boolean holds = works || (!age.isNegative() && age.compareTo(FAILURE_HOLDS) < 0);
            return holds ? Optional.of(new Answer(works, lines.get(2))) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private void remember(String key, Answer answer) throws IOException {
        Path fresh = Files.createTempFile(folder, "kvm-trial", ".new");
        Files.writeString(
                fresh,
                key + "\n" + (answer.works() ? "works" : "fails") + "\n"
                        + answer.reason().replace('\n', ' ') + "\n");
        Files.move(fresh, folder.resolve("kvm-trial"), StandardCopyOption.ATOMIC_MOVE);
    }
}
