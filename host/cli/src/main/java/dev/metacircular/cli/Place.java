package dev.metacircular.cli;

import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** Where a service is: on the node that {@code --node} names, that its definition names, or that has it registered. */
final class Place {
    private Place() {}

    static ClientConfig.Node of(Session session, Arguments arguments, Name service) {
        ClientConfig config = session.config();
        if (arguments.name("--node").isPresent()) {
            return View.node(session, config, arguments.name("--node").get());
        }
        ServiceDefinitions definitions = session.definitions();
        if (Files.exists(definitions.file(service))) {
            Service defined = definitions.read(service).orThrow();
            return View.node(session, config, defined.node());
        }
        return registered(session, service);
    }

    /** The one node that has it registered. */
    static ClientConfig.Node registered(Session session, Name service) {
        ClientConfig config = session.config();
        ListRequest request =
                ListRequest.newBuilder().setService(service.value()).build();
        List<ClientConfig.Node> having = new ArrayList<>();
        List<Problem> problems = new ArrayList<>();
        for (Nodes.Answer<ListResponse> answer :
                Nodes.ask(session, config.nodes().values(), stub -> stub.list(request))) {
            if (answer instanceof Nodes.Answer.Given<ListResponse>(Name node, ListResponse response)) {
                if (response.getComponentsCount() > 0) {
                    having.add(View.node(session, config, node));
                }
            } else if (answer instanceof Nodes.Answer.Missing<ListResponse> missing
                    && missing.problem().kind() != Problem.Kind.NOT_FOUND) {
                problems.add(missing.problem());
            }
        }
        if (having.size() == 1) {
            return having.getFirst();
        }
        if (having.size() > 1) {
            throw Problem.of(Problem.Kind.CONFLICT, "service '" + service + "' is on several nodes")
                    .next("name one with --node")
                    .exception();
        }
        if (!problems.isEmpty()) {
            throw problems.getFirst().exception();
        }
        throw Problem.of(
                        Problem.Kind.NOT_FOUND,
                        "service '" + service + "' has no definition, and no node has it registered")
                .at(session.definitions().file(service).toString())
                .next("mcp list")
                .exception();
    }

    /**
     * The service's generation on the node, which a change of it must be planned from. It is 0 for a caller whose token is
     * refused: the change is then refused itself, so that the node's audit log says what was tried.
     *
     * @throws dev.metacircular.model.ProblemException NOT_FOUND if the node does not have it
     */
    static long generation(AgentGrpc.AgentBlockingStub stub, Name service, ClientConfig.Node node) {
        ListResponse response;
        try {
            response = stub.list(
                    ListRequest.newBuilder().setService(service.value()).build());
        } catch (StatusRuntimeException e) {
            if (e.getStatus().getCode() == Status.Code.UNAUTHENTICATED) {
                return 0;
            }
            throw e;
        }
        if (response.getGeneration() == 0 && response.getComponentsCount() == 0) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "service '" + service + "' is not registered")
                    .at("node " + node.name())
                    .next("mcp deploy " + service)
                    .exception();
        }
        return response.getGeneration() != 0
                ? response.getGeneration()
                : response.getComponents(0).getGeneration();
    }

    /** For one mutating call: repeated with the same key it has no further effect. */
    static String idempotencyKey() {
        return UUID.randomUUID().toString();
    }
}
