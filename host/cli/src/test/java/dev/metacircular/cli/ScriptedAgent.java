package dev.metacircular.cli;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import dev.metacircular.contract.v1.AddTokenRequest;
import dev.metacircular.contract.v1.AddTokenResponse;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ComponentResult;
import dev.metacircular.contract.v1.ComponentStatus;
import dev.metacircular.contract.v1.DeployRequest;
import dev.metacircular.contract.v1.DeployResult;
import dev.metacircular.contract.v1.DeployUpdate;
import dev.metacircular.contract.v1.DoctorRequest;
import dev.metacircular.contract.v1.DoctorResponse;
import dev.metacircular.contract.v1.ExecInput;
import dev.metacircular.contract.v1.ExecOutput;
import dev.metacircular.contract.v1.Finding;
import dev.metacircular.contract.v1.HelloRequest;
import dev.metacircular.contract.v1.HelloResponse;
import dev.metacircular.contract.v1.Instance;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.ListTokensRequest;
import dev.metacircular.contract.v1.ListTokensResponse;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.contract.v1.Operation;
import dev.metacircular.contract.v1.OperationUpdate;
import dev.metacircular.contract.v1.PlanDocument;
import dev.metacircular.contract.v1.PlanRequest;
import dev.metacircular.contract.v1.PlanUpdate;
import dev.metacircular.contract.v1.PsRequest;
import dev.metacircular.contract.v1.PsResponse;
import dev.metacircular.contract.v1.PurgeRequest;
import dev.metacircular.contract.v1.PurgeResponse;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.contract.v1.RestartRequest;
import dev.metacircular.contract.v1.RestartResponse;
import dev.metacircular.contract.v1.RevokeTokenRequest;
import dev.metacircular.contract.v1.RevokeTokenResponse;
import dev.metacircular.contract.v1.RuntimeState;
import dev.metacircular.contract.v1.SetDesiredRequest;
import dev.metacircular.contract.v1.SetDesiredResponse;
import dev.metacircular.contract.v1.ShowNodeRequest;
import dev.metacircular.contract.v1.ShowNodeResponse;
import dev.metacircular.contract.v1.StatusRequest;
import dev.metacircular.contract.v1.StatusResponse;
import dev.metacircular.contract.v1.Token;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * An agent with a fixed answer to each question, in a process of its own: what the AOT cache is trained against, and what
 * the start-up benchmark asks where no real agent is named.
 */
public class ScriptedAgent extends AgentGrpc.AgentImplBase {
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

    /** The changes that were asked for. */
    final List<Message> changes = new CopyOnWriteArrayList<>();

    static <T> void answer(StreamObserver<T> response, T value) {
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

    private static ComponentResult result(String outcome) {
        return ComponentResult.newBuilder()
                .setComponent("web")
                .setOutcome(outcome)
                .build();
    }

    @Override
    public void setDesired(SetDesiredRequest request, StreamObserver<SetDesiredResponse> response) {
        changes.add(request);
        boolean stops = request.hasActive()
                ? !request.getActive()
                : request.getDesiredMap().containsValue("stopped");
        answer(
                response,
                SetDesiredResponse.newBuilder()
                        .setGeneration(4)
                        .addComponents(result(stops ? "stopped" : "started"))
                        .build());
    }

    @Override
    public void restart(RestartRequest request, StreamObserver<RestartResponse> response) {
        changes.add(request);
        answer(
                response,
                RestartResponse.newBuilder().addComponents(result("started")).build());
    }

    @Override
    public void purge(PurgeRequest request, StreamObserver<PurgeResponse> response) {
        changes.add(request);
        answer(
                response,
                PurgeResponse.newBuilder().addRemoved("container shop-web").build());
    }

    @Override
    public void deploy(DeployRequest request, StreamObserver<DeployUpdate> response) {
        changes.add(request);
        for (Operation operation : request.getPlan().getOperationsList()) {
            for (String status : List.of("begin", "done")) {
                response.onNext(DeployUpdate.newBuilder()
                        .setOperation(OperationUpdate.newBuilder()
                                .setIndex(operation.getIndex())
                                .setOp(operation.getOp())
                                .setComponent(operation.getComponent())
                                .setStatus(status)
                                .setMessage(operation.getMessage()))
                        .build());
            }
        }
        answer(
                response,
                DeployUpdate.newBuilder()
                        .setResult(DeployResult.newBuilder()
                                .setOk(true)
                                .setGeneration(4)
                                .addComponents(result("replaced")))
                        .build());
    }

    @Override
    public void listTokens(ListTokensRequest request, StreamObserver<ListTokensResponse> response) {
        answer(
                response,
                ListTokensResponse.newBuilder()
                        .addTokens(Token.newBuilder()
                                .setName("admin")
                                .setRole("operator")
                                .setCreatedAtMs(STARTED_MS))
                        .build());
    }

    @Override
    public void addToken(AddTokenRequest request, StreamObserver<AddTokenResponse> response) {
        changes.add(request);
        answer(response, AddTokenResponse.newBuilder().setToken("mct_new").build());
    }

    @Override
    public void revokeToken(RevokeTokenRequest request, StreamObserver<RevokeTokenResponse> response) {
        changes.add(request);
        answer(response, RevokeTokenResponse.getDefaultInstance());
    }

    @Override
    public void doctor(DoctorRequest request, StreamObserver<DoctorResponse> response) {
        answer(
                response,
                DoctorResponse.newBuilder()
                        .addFindings(Finding.newBuilder()
                                .setCheck("lingering")
                                .setStatus("warning")
                                .setMessage("is off for user mcp")
                                .setFix("loginctl enable-linger mcp"))
                        .build());
    }

    @Override
    public void showNode(ShowNodeRequest request, StreamObserver<ShowNodeResponse> response) {
        answer(
                response,
                ShowNodeResponse.newBuilder()
                        .setName("alpha")
                        .setVersion("0.1.0")
                        .setCpus(2)
                        .setMemoryBytes(4L << 30)
                        .setMemoryFreeBytes(3L << 29)
                        .setDiskBytes(100L << 30)
                        .setDiskFreeBytes(50L << 30)
                        .addRuntimes(podman())
                        .addRuntimes(
                                RuntimeState.newBuilder().setName("microvm").setReason("no VMM was found"))
                        .build());
    }

    /** Upper-cases the input; the first word of the command is the exit status. */
    @Override
    public StreamObserver<ExecInput> exec(StreamObserver<ExecOutput> response) {
        return new StreamObserver<>() {
            private int status;

            @Override
            public void onNext(ExecInput input) {
                switch (input.getInputCase()) {
                    case START -> {
                        changes.add(input.getStart());
                        status = Integer.parseInt(input.getStart().getCommand(0));
                    }
                    case DATA ->
                        response.onNext(ExecOutput.newBuilder()
                                .setOut(ByteString.copyFromUtf8(
                                        input.getData().toStringUtf8().toUpperCase(Locale.ROOT)))
                                .build());
                    case END_OF_INPUT ->
                        answer(
                                response,
                                ExecOutput.newBuilder().setExitStatus(status).build());
                    case RESIZE, INPUT_NOT_SET -> {
                        // There is no terminal here.
                    }
                }
            }

            @Override
            public void onError(Throwable failure) {
                // The client has gone.
            }

            @Override
            public void onCompleted() {
                // The end of input is a message of its own.
            }
        };
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
