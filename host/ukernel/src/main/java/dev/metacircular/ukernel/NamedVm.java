package dev.metacircular.ukernel;

import dev.metacircular.vm.VirtualMachine;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Parameters;

/** The parameter of commands that look at one VM, which may have ended. */
final class NamedVm {
    @Parameters(arity = "0..1", paramLabel = "NAME", description = "The VM; without it the newest of the project here.")
    private @Nullable String name;

    VirtualMachine find(Cli cli) {
        return cli.machines().find(Optional.ofNullable(name), project(cli), false);
    }

    /** The project here, unless a VM was named, which may be of another. */
    Optional<Project> project(Cli cli) {
        return name == null ? Optional.of(cli.project()) : Optional.empty();
    }
}
