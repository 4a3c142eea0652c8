package dev.metacircular.ukernel;

import dev.metacircular.image.Image;
import dev.metacircular.image.RunConfiguration;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.Problem;
import dev.metacircular.vm.Accelerator;
import dev.metacircular.vm.Initrd;
import dev.metacircular.vm.Network;
import dev.metacircular.vm.PortForward;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmDriver;
import dev.metacircular.vm.VmId;
import dev.metacircular.vm.VmInfo;
import dev.metacircular.vm.VmSpec;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Boots an image. */
@Command(
        name = "run",
        description = {
            "Boots the project's image, packed anew where something changed, and streams its console.",
            "Ctrl-C stops the VM."
        },
        footer =
                "Exit status: the workload's; 125 when the VMM or the kernel failed; 137 when the VM had to be ended by force.")
final class RunCommand implements Callable<Integer> {
    private static final int GDB_PORT = 1234;

    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Option(names = "--image", paramLabel = "FILE", description = "Boots this image, whatever project is here.")
    private @Nullable String image;

    @Option(names = "--vmm", paramLabel = "VMM", description = "firecracker or qemu.")
    private @Nullable String vmm;

    @Option(names = "--accel", paramLabel = "ACCEL", description = "kvm or emulation; found out unless told.")
    private @Nullable String accel;

    @Option(names = "--vcpu", paramLabel = "N", description = "Number of virtual CPUs.")
    private @Nullable Integer vcpus;

    @Option(names = "--memory", paramLabel = "MIB", description = "Guest memory in MiB.")
    private @Nullable Integer memory;

    @Option(names = "--net", paramLabel = "NET", description = "user, tap:IFACE or none.")
    private @Nullable String net;

    @Option(
            names = "--port",
            paramLabel = "[ADDRESS:]HOST:GUEST",
            description = "Publishes a port of the guest, instead of where the project publishes it.")
    private List<String> ports = new ArrayList<>();

    @Option(
            names = "--address",
            paramLabel = "ADDRESS/LENGTH[,GATEWAY]",
            description = "The guest's own address; the project's unless told, or asked of DHCP.")
    private @Nullable String address;

    @Option(names = "--env", paramLabel = "NAME=VALUE", description = "An environment variable for this run.")
    private List<String> environment = new ArrayList<>();

    @Option(names = "--release", description = "With an optimised program.")
    private boolean release;

    @Option(
            names = {"-d", "--detach"},
            description = "Leaves it running and prints its name.")
    private boolean detach;

    @Option(
            names = {"-i", "--interactive"},
            description = "Passes standard input to the guest's console.")
    private boolean interactive;

    @Option(
            names = "--kernel-args",
            paramLabel = "WORDS",
            description = "Words for the kernel's command line, such as ukernel.cpus=2.")
    private String kernelArguments = "";

    @Option(
            names = "--gdb",
            arity = "0..1",
            paramLabel = "PORT",
            fallbackValue = "" + GDB_PORT,
            description = "Waits for GDB on this port of 127.0.0.1 (1234) before the first instruction.")
    private @Nullable Integer gdb;

    @Parameters(paramLabel = "ARGUMENT", description = "Arguments for the workload, after a '--'.")
    private List<String> arguments = new ArrayList<>();

    RunCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() throws InterruptedException {
        Report report = cli.report(options.json);
        Optional<Project> project = image == null ? Optional.of(cli.project()) : Optional.empty();
        Path file;
        String name;
        if (project.isPresent()) {
            file = project.get().image();
            name = project.get().name().value();
            new Pipeline(cli.installation(), report).pack(project.get(), file, release);
        } else {
            file = cli.path(String.valueOf(image));
            name = imageName(file);
        }
        Machines machines = cli.machines();
        machines.prepare();
        // What it needs does not go by its name.
        VmDriver driver = machines.driver(Optional.ofNullable(vmm), needed(spec(machines.freeId(name), file, project)));
        machines.prune();
        VirtualMachine vm = machines.start(driver, name, id -> spec(id, file, project));
        VmInfo info = vm.info();
        report.progress("run: %s on %s, %s, %d vCPU%s, %d MiB: %s"
                .formatted(
                        info.id(),
                        info.driver(),
                        info.acceleration().accelerator().label(),
                        info.vcpus(),
                        info.vcpus() == 1 ? "" : "s",
                        info.memoryMebibytes(),
                        info.acceleration().reason()));
        if (gdb != null) {
            report.progress("run: waiting for gdb; attach with: gdb %s -ex 'target remote 127.0.0.1:%d'"
                    .formatted(
                            project.map(p -> p.programWithSymbols().toString()).orElse(""), gdb));
        }
        Session session =
                new Session(vm, report, cli.installation().symbols(project), project.map(Project::logsFolder));
        session.started();
        if (detach) {
            report.line(info.id().value());
            return 0;
        }
        return session.follow(interactive);
    }

    private static String imageName(Path file) {
        try (Image opened = Image.open(file)) {
            String name = opened.manifest().name();
            return dev.metacircular.model.Name.isValid(name) ? name : "image";
        }
    }

    private VmSpec spec(VmId id, Path file, Optional<Project> project) {
        Project.Run defaults = project.map(Project::run)
                .orElseGet(() -> new Project.Run(1, 256, new Project.Net.None(), Optional.empty(), List.of()));
        VmSpec.Builder spec = VmSpec.ofImage(id, file)
                .commandLine(kernelArguments)
                .initrd(Initrd.of(ByteBuffer.wrap(configuration(defaults).toBytes())))
                .vcpus(bounded("--vcpu", vcpus, defaults.vcpus(), 1, ProjectFile.VCPUS_MAX))
                .memoryMebibytes(bounded(
                        "--memory",
                        memory,
                        defaults.memoryMebibytes(),
                        ProjectFile.MEMORY_MIN_MEBIBYTES,
                        ProjectFile.MEMORY_MAX_MEBIBYTES));
        if (accel != null) {
            spec.accelerator(Stream.of(Accelerator.values())
                    .filter(accelerator -> accelerator.label().equals(accel))
                    .findFirst()
                    .orElseThrow(() -> invalid("--accel is '" + accel + "'", "kvm or emulation")));
        }
        network(defaults).ifPresent(spec::network);
        if (gdb != null) {
            spec.debugger(new InetSocketAddress(
                    InetAddress.getLoopbackAddress(), bounded("--gdb", gdb, GDB_PORT, 1, 65_535)));
        }
        return spec.build();
    }

    private static Set<VmDriver.Feature> needed(VmSpec spec) {
        Set<VmDriver.Feature> needed = EnumSet.noneOf(VmDriver.Feature.class);
        for (Network network : spec.networks()) {
            needed.add(
                    switch (network) {
                        case Network.User _ -> VmDriver.Feature.USER_NETWORK;
                        case Network.Tap _ -> VmDriver.Feature.TAP_NETWORK;
                    });
        }
        if (spec.debugger().isPresent()) {
            needed.add(VmDriver.Feature.DEBUGGER);
        }
        if (spec.accelerator().filter(a -> a == Accelerator.EMULATION).isPresent()) {
            needed.add(VmDriver.Feature.EMULATION);
        }
        return needed;
    }

    private RunConfiguration configuration(Project.Run defaults) {
        Map<String, String> variables = new LinkedHashMap<>();
        for (String variable : environment) {
            int equals = variable.indexOf('=');
            if (equals < 1) {
                throw invalid("--env is '" + variable + "'", "NAME=VALUE");
            }
            variables.put(variable.substring(0, equals), variable.substring(equals + 1));
        }
        return new RunConfiguration(
                arguments,
                variables,
                Clock.systemUTC().instant(),
                RunConfiguration.Seed.random(),
                address == null
                        ? defaults.address()
                        : Optional.of(new RunConfiguration.Address(address.replace(',', ' '))));
    }

    private Optional<Network> network(Project.Run defaults) {
        Project.Net chosen = net == null
                ? defaults.net()
                : Project.Net.parse(net).orElseThrow(() -> invalid("--net is '" + net + "'", Project.Net.EXPECTED));
        List<PortMapping> published = new ArrayList<>();
        for (String port : ports) {
            try {
                published.add(PortMapping.parse(port));
            } catch (IllegalArgumentException e) {
                throw invalid("--port is '" + port + "'", PortMapping.EXPECTED);
            }
        }
        if (chosen instanceof Project.Net.User) {
            defaults.ports().stream()
                    .filter(port -> published.stream()
                            .noneMatch(given ->
                                    given.guestPort() == port.guestPort() && given.protocol() == port.protocol()))
                    .toList()
                    .forEach(published::add);
        }
        if (!ports.isEmpty() && !(chosen instanceof Project.Net.User)) {
            throw invalid("--port without user-mode networking", "--net user with it");
        }
        return switch (chosen) {
            case Project.Net.None _ -> Optional.empty();
            case Project.Net.Tap(String interfaceName) -> Optional.of(new Network.Tap(interfaceName));
            case Project.Net.User _ ->
                Optional.of(new Network.User(
                        published.stream().map(RunCommand::forward).toList()));
        };
    }

    private static PortForward forward(PortMapping mapping) {
        try {
            return new PortForward(
                    switch (mapping.protocol()) {
                        case TCP -> PortForward.Protocol.TCP;
                        case UDP -> PortForward.Protocol.UDP;
                    },
                    InetAddress.getByName(mapping.address()),
                    mapping.hostPort(),
                    mapping.guestPort());
        } catch (UnknownHostException e) {
            throw invalid("'" + mapping.address() + "' is no address", PortMapping.EXPECTED);
        }
    }

    private static int bounded(String option, @Nullable Integer value, int otherwise, int min, int max) {
        return value == null ? otherwise : Bounds.check("run", option, value, min, max);
    }

    private static RuntimeException invalid(String what, String expected) {
        return Problem.of(Problem.Kind.INVALID, what + ": expected " + expected)
                .next("ukernel run --help")
                .exception();
    }
}
