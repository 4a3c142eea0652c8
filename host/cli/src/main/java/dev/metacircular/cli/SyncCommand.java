package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.ComponentResult;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.contract.v1.SetDesiredRequest;
import dev.metacircular.contract.v1.SetDesiredResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ServiceDefinitions.Definition;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;

/**
 * {@code mcp sync}: tells every node what its definitions say should run. Only components that are registered there already are told of;
 * nothing is deployed.
 */
final class SyncCommand implements Command {
    /** So many services are told of side by side. */
    private static final int AT_ONCE = 8;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "sync",
                "Sends the desired states of all definitions to their nodes, which act on them; deploys nothing.");
        spec.addPositional(Models.optional(0, "SERVICE", "Only this service; all where none is named."));
        spec.addOption(Models.value("--node", "NODE", "Only this node."));
        return spec;
    }

    private record Undefined(Name node, RegisteredComponent component) {}

    /** What one service's part came to. */
    private record Part(Service service, List<ComponentResult> results, Optional<Problem> problem, long generation) {}

    @Override
    public int run(Arguments arguments, Session session) {
        Map<Name, List<Service>> byNode = definitions(arguments, session);
        ClientConfig config = session.config();
        boolean everything =
                arguments.positional(0).isEmpty() && arguments.name("--node").isEmpty();
        Set<ClientConfig.Node> nodes = new LinkedHashSet<>();
        byNode.keySet().forEach(n -> nodes.add(View.node(session, config, n)));
        if (everything) {
            nodes.addAll(View.nodes(session, Optional.empty()));
        }
        View<ListResponse> view =
                View.of(session, nodes, stub -> stub.list(ListRequest.getDefaultInstance()), _ -> List.of());
        Map<Name, ListResponse> registered = new LinkedHashMap<>();
        view.forEach((node, response) -> registered.put(Name.of(node), response));
        List<Part> parts = tell(session, config, byNode, registered);
        List<Undefined> undefined = arguments.positional(0).isPresent() ? List.of() : undefined(byNode, registered);
        if (session.json()) {
            session.out().println(Json.write(json(view, parts, undefined)));
        } else {
            print(session, view, parts, undefined);
        }
        List<Integer> statuses = new ArrayList<>();
        statuses.add(view.exitStatus());
        for (Part part : parts) {
            part.problem().ifPresent(p -> statuses.add(Problems.exitStatus(p.kind())));
            if (Results.failed(part.results())) {
                statuses.add(ExitStatus.FAILED);
            }
        }
        return View.heaviest(statuses);
    }

    /** By node; with a fault in any of them nothing is sent anywhere. */
    private static Map<Name, List<Service>> definitions(Arguments arguments, Session session) {
        Optional<Name> only =
                arguments.positional(0).isPresent() ? Optional.of(arguments.requiredName(0)) : Optional.empty();
        only.ifPresent(s -> session.definitions().text(s));
        Optional<Name> node = arguments.name("--node");
        List<String> faults = new ArrayList<>();
        Map<Name, List<Service>> byNode = new LinkedHashMap<>();
        for (Definition definition : session.definitions().readAll()) {
            if (only.isPresent()
                    && !definition.file().equals(session.definitions().file(only.get()))) {
                continue;
            }
            definition.service().faults().forEach(f -> faults.add(f.toString()));
            if (definition.service().faults().isEmpty()) {
                Service service = definition.service().orThrow();
                if (node.isEmpty() || node.get().equals(service.node())) {
                    byNode.computeIfAbsent(service.node(), _ -> new ArrayList<>())
                            .add(service);
                }
            }
        }
        if (!faults.isEmpty()) {
            throw Problem.of(Problem.Kind.INVALID, String.join("\n", faults))
                    .next("nothing was sent anywhere; mend the files, mcp validate checks them")
                    .exception();
        }
        return byNode;
    }

    private static List<Part> tell(
            Session session, ClientConfig config, Map<Name, List<Service>> byNode, Map<Name, ListResponse> registered) {
        ExecutorService pool = Executors.newFixedThreadPool(
                AT_ONCE, Thread.ofPlatform().daemon().name("sync-", 0).factory());
        try {
            List<Future<Part>> futures = new ArrayList<>();
            registered.forEach((node, response) -> byNode.getOrDefault(node, List.of())
                    .forEach(service -> futures.add(
                            pool.submit(() -> tell(session, config, service, response.getComponentsList())))));
            List<Part> parts = new ArrayList<>();
            for (Future<Part> future : futures) {
                parts.add(future.get());
            }
            return parts;
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Problem.of(Problem.Kind.FAILED, "interrupted").exception();
        } finally {
            pool.shutdownNow();
        }
    }

    private static Part tell(
            Session session, ClientConfig config, Service service, List<RegisteredComponent> everything) {
        Map<String, RegisteredComponent> known = everything.stream()
                .filter(c -> c.getService().equals(service.name().value()))
                .collect(Collectors.toMap(RegisteredComponent::getComponent, c -> c));
        SetDesiredRequest.Builder request = SetDesiredRequest.newBuilder()
                .setIdempotencyKey(Place.idempotencyKey())
                .setService(service.name().value())
                .setActive(service.active());
        List<ComponentResult> missing = new ArrayList<>();
        Set<String> defined = new HashSet<>();
        for (Service.Entry entry : service.components()) {
            String component = entry.component().name().value();
            defined.add(component);
            if (known.containsKey(component)) {
                request.putDesired(component, entry.desired().toString());
            } else {
                missing.add(result(component, "not_registered", "mcp deploy " + service.name() + " registers it"));
            }
        }
        known.keySet().stream()
                .filter(c -> !defined.contains(c))
                .sorted()
                .forEach(c -> missing.add(result(
                        c,
                        "no_definition",
                        "the definition does not have it; mcp deploy " + service.name() + " removes it")));
        if (request.getDesiredCount() == 0) {
            return new Part(service, missing, Optional.empty(), 0);
        }
        request.setBaseGeneration(known.values().iterator().next().getGeneration());
        try {
            SetDesiredResponse response = Nodes.call(
                    session,
                    View.node(session, config, service.node()),
                    Nodes.limit(session, Nodes.CHANGE),
                    stub -> stub.setDesired(request.build()));
            List<ComponentResult> results = new ArrayList<>(response.getComponentsList());
            results.removeIf(
                    r -> missing.stream().anyMatch(m -> m.getComponent().equals(r.getComponent())));
            results.addAll(missing);
            return new Part(service, results, Optional.empty(), response.getGeneration());
        } catch (ProblemException e) {
            return new Part(service, missing, Optional.of(e.problem()), 0);
        }
    }

    private static ComponentResult result(String component, String outcome, String message) {
        return ComponentResult.newBuilder()
                .setComponent(component)
                .setOutcome(outcome)
                .setMessage(message)
                .build();
    }

    /** What is registered of services that no definition names for that node. */
    private static List<Undefined> undefined(Map<Name, List<Service>> byNode, Map<Name, ListResponse> registered) {
        List<Undefined> found = new ArrayList<>();
        registered.forEach((node, response) -> {
            Set<String> defined = byNode.getOrDefault(node, List.of()).stream()
                    .map(s -> s.name().value())
                    .collect(Collectors.toSet());
            response.getComponentsList().stream()
                    .filter(c -> !defined.contains(c.getService()))
                    .forEach(c -> found.add(new Undefined(node, c)));
        });
        return found;
    }

    private static Object json(View<ListResponse> view, List<Part> parts, List<Undefined> undefined) {
        return Json.object(
                "nodes",
                view.json(),
                "services",
                parts.stream()
                        .map(p -> Json.object(
                                "node",
                                p.service().node().value(),
                                "service",
                                p.service().name().value(),
                                "generation",
                                p.generation(),
                                "components",
                                Results.json(p.results()),
                                "error",
                                p.problem().map(Report::json).orElse(null)))
                        .toList(),
                "undefined",
                undefined.stream()
                        .map(u -> Json.object(
                                "node",
                                u.node().value(),
                                "service",
                                u.component().getService(),
                                "component",
                                u.component().getComponent()))
                        .toList());
    }

    private static void print(Session session, View<ListResponse> view, List<Part> parts, List<Undefined> undefined) {
        Table table = new Table("COMPONENT", "NODE", "OUTCOME", "MESSAGE");
        for (Part part : parts) {
            part.results()
                    .forEach(r -> table.row(
                            part.service().name() + "/" + r.getComponent(),
                            part.service().node().value(),
                            r.getOutcome(),
                            r.getMessage()));
        }
        undefined.forEach(u -> table.row(
                u.component().getService() + "/" + u.component().getComponent(),
                u.node().value(),
                "no_definition",
                "registered, but no definition here names it; mcp service export "
                        + u.component().getService() + " writes one"));
        view.print(table, "there is nothing to tell");
        parts.forEach(p -> p.problem().ifPresent(problem -> Report.toPeople(session, problem)));
    }
}
