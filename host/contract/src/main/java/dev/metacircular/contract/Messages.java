package dev.metacircular.contract;

import dev.metacircular.contract.v1.ComponentDocument;
import dev.metacircular.contract.v1.ServiceDocument;
import dev.metacircular.model.Component;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Drift;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observed;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;

/** The mapping between messages and the model; what a peer sent is checked, and refused as {@code INVALID}. */
public final class Messages {
    /** The version of a component's document that this version writes. */
    public static final int DOCUMENT_VERSION = 1;

    private Messages() {}

    /** @param canonical writes a component's document: the TOML of its table, in the canonical form */
    public static ServiceDocument toMessage(Service service, Function<Component, String> canonical) {
        ServiceDocument.Builder message = ServiceDocument.newBuilder()
                .setName(service.name().value())
                .setNode(service.node().value())
                .setActive(service.active());
        for (Service.Entry entry : service.components()) {
            message.addComponents(ComponentDocument.newBuilder()
                    .setVersion(DOCUMENT_VERSION)
                    .setToml(canonical.apply(entry.component()))
                    .setDesired(entry.desired().toString()));
        }
        return message.build();
    }

    /**
     * The service without what only its file knows ({@code path}, {@code [build]}).
     *
     * @param parse reads a component's document; it may throw a {@code ProblemException} of its own
     */
    public static Service fromMessage(ServiceDocument message, Function<String, Component> parse) {
        Name service = name(message.getName(), "service");
        Set<Name> seen = new LinkedHashSet<>();
        List<Service.Entry> entries = message.getComponentsList().stream()
                .map(document -> {
                    Component component = component(document, parse);
                    if (!seen.add(component.name())) {
                        throw Problem.of(Problem.Kind.INVALID, "two components are named '" + component.name() + "'")
                                .at(service.value())
                                .exception();
                    }
                    return new Service.Entry(component, desired(document.getDesired()));
                })
                .toList();
        return new Service(
                service, name(message.getNode(), "node"), message.getActive(), Optional.empty(), Map.of(), entries);
    }

    private static Component component(ComponentDocument document, Function<String, Component> parse) {
        if (document.getVersion() != DOCUMENT_VERSION) {
            throw Problem.of(
                            Problem.Kind.UNSUPPORTED,
                            "a component's document has version " + document.getVersion() + "; known is "
                                    + DOCUMENT_VERSION)
                    .next("upgrade the agent")
                    .exception();
        }
        return parse.apply(document.getToml());
    }

    public static Desired desired(String text) {
        return Desired.parse(text)
                .orElseThrow(() -> Problem.of(
                                Problem.Kind.INVALID,
                                "'" + text + "' is not a desired state: expected running, stopped or ignore")
                        .exception());
    }

    /** @param role what the name is of, for the message */
    public static Name name(String text, String role) {
        if (!Name.isValid(text)) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            "'" + text + "' is not a " + role + "'s name: expected " + Name.EXPECTED)
                    .exception();
        }
        return new Name(text);
    }

    /** Empty if none is named. */
    public static Optional<Name> optionalName(String text, String role) {
        return text.isEmpty() ? Optional.empty() : Optional.of(name(text, role));
    }

    /** The exit status that goes with an observed state on the wire. */
    public static OptionalInt exitCode(Observed observed) {
        return observed instanceof Observed.Exited(int status) ? OptionalInt.of(status) : OptionalInt.empty();
    }

    public static List<String> drift(Collection<Drift> drift) {
        return drift.stream().map(Drift::toString).toList();
    }
}
