package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.model.Problem;
import java.util.Optional;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp completion bash}. */
final class CompletionCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command("completion", "Prints a completion script: source <(mcp completion bash)");
        spec.addPositional(Models.required(0, "SHELL", "bash; zsh takes it after bashcompinit."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        if (!arguments.required(0).equals("bash")) {
            throw Problem.of(Problem.Kind.INVALID, "no completion for '" + arguments.required(0) + "': expected bash")
                    .exception();
        }
        String script = AutoComplete.bash("mcp", new CommandLine(CommandTree.root(Optional.empty())));
        session.out().print(session.json() ? Json.write(Json.object("script", script)) + "\n" : script);
        return ExitStatus.DONE;
    }
}
