package dev.metacircular.cli;

import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ComponentStatus;
import dev.metacircular.contract.v1.HelloRequest;
import dev.metacircular.contract.v1.HelloResponse;
import dev.metacircular.contract.v1.Instance;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.contract.v1.Operation;
import dev.metacircular.contract.v1.PlanDocument;
import dev.metacircular.contract.v1.PlanRequest;
import dev.metacircular.contract.v1.PlanUpdate;
import dev.metacircular.contract.v1.PsRequest;
import dev.metacircular.contract.v1.PsResponse;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.contract.v1.RuntimeState;
import dev.metacircular.contract.v1.StatusRequest;
import dev.metacircular.contract.v1.StatusResponse;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * An agent with a fixed answer to each question, in a process of its own: what the AOT cache is trained against, and what
 * the start-up benchmark asks where no real agent is named.
 */
public final class ScriptedAgent extends AgentGrpc.AgentImplBase {
    /** The start of the instances, and the clock of tests a quarter of an hour before. */
    static final long STARTED_MS = 1_780_000_000_000L;

    /**
     * Serves until standard input ends.
     *
     * @param arguments the folder to write an operator's directory into
     */
    public static void main(String[] arguments) throws IOException {
        Path directory = Path.of(arguments[0]);
        TestCertificates authority = new TestCertificates("Ed25519");
        try (TestAgent agent = new TestAgent(authority.server(Duration.ofDays(1), "127.0.0.1"), new ScriptedAgent())) {
            Files.createDirectories(directory.resolve("services"));
            authority.writeCa(directory.resolve("alpha-ca.pem"));
            Files.writeString(directory.resolve("alpha.token"), TestAgent.TOKEN + "\n");
            Files.writeString(directory.resolve("services/shop.toml"), """
                    name = "shop"
                    node = "alpha"

                    [[components]]
                    name = "web"
                    image = "registry.example:5000/shop:v1.4.0"
                    ports = ["127.0.0.1:18080:8080"]
                    """);
            Files.writeString(directory.resolve("mcp.toml"), """
                    [nodes.alpha]
                    address    = "127.0.0.1:%d"
                    ca         = "alpha-ca.pem"
                    token_file = "alpha.token"
                    """.formatted(agent.port()));
            System.out.println("ready");
            System.out.flush();
            while (System.in.read() >= 0) {
                // Until it ends.
            }
        }
    }

    private static <T> void answer(StreamObserver<T> response, T value) {
        response.onNext(value);
        response.onCompleted();
    }

    @Override
    public void hello(HelloRequest request, StreamObserver<HelloResponse> response) {
        answer(
                response,
                HelloResponse.newBuilder()
                        .setNode("alpha")
                        .setVersion("0.1.0")
                        .setRole("operator")
                        .setTokenName("admin")
                        .build());
    }

    private static RuntimeState podman() {
        return RuntimeState.newBuilder()
                .setName("podman")
                .setAvailable(true)
                .setVersion("5.4.2")
                .build();
    }

    @Override
    public void ps(PsRequest request, StreamObserver<PsResponse> response) {
        PsResponse.Builder ps = PsResponse.newBuilder().setNode("alpha").addRuntimes(podman());
        for (int i = 0; i < 20; i++) {
            ps.addInstances(Instance.newBuilder()
                    .setService("shop")
                    .setComponent("web" + i)
                    .setName("shop-web" + i)
                    .setRuntime("container")
                    .setImage("registry.example:5000/shop:v1.4." + i)
                    .setVersion("v1.4." + i)
                    .setState("running")
                    .setStartedAtMs(STARTED_MS)
                    .addPorts("127.0.0.1:" + (18080 + i) + ":8080")
                    .setGeneration(3));
        }
        answer(response, ps.build());
    }

    private static RegisteredComponent web() {
        return RegisteredComponent.newBuilder()
                .setService("shop")
                .setComponent("web")
                .setName("shop-web")
                .setRuntime("container")
                .setImage("registry.example:5000/shop:v1.4.0")
                .setVersion("v1.4.0")
                .setDesired("running")
                .setGeneration(3)
                .build();
    }

    @Override
    public void list(ListRequest request, StreamObserver<ListResponse> response) {
        answer(
                response,
                ListResponse.newBuilder()
                        .setNode("alpha")
                        .addComponents(web())
                        .setActive(true)
                        .setGeneration(3)
                        .build());
    }

    @Override
    public void status(StatusRequest request, StreamObserver<StatusResponse> response) {
        answer(
                response,
                StatusResponse.newBuilder()
                        .setNode("alpha")
                        .addComponents(
                                ComponentStatus.newBuilder().setComponent(web()).setObserved("running"))
                        .addRuntimes(podman())
                        .build());
    }

    @Override
    public void logs(LogsRequest request, StreamObserver<LogLine> response) {
        answer(
                response,
                LogLine.newBuilder()
                        .setComponent("web")
                        .setStream("out")
                        .setText("listening")
                        .setTimeMs(STARTED_MS)
                        .build());
    }

    @Override
    public void plan(PlanRequest request, StreamObserver<PlanUpdate> response) {
        answer(
                response,
                PlanUpdate.newBuilder()
                        .setPlan(PlanDocument.newBuilder()
                                .setService("shop")
                                .setBaseGeneration(3)
                                .addOperations(Operation.newBuilder()
                                        .setOp("start")
                                        .setComponent("web")
                                        .setMessage("start shop-web")))
                        .build());
    }
}
