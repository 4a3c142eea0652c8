package dev.metacircular.agent;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AddTokenRequest;
import dev.metacircular.contract.v1.AddTokenResponse;
import dev.metacircular.contract.v1.AdoptRequest;
import dev.metacircular.contract.v1.AdoptResponse;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.CollectImagesRequest;
import dev.metacircular.contract.v1.CollectImagesResponse;
import dev.metacircular.contract.v1.DeployRequest;
import dev.metacircular.contract.v1.DeployResult;
import dev.metacircular.contract.v1.DeployUpdate;
import dev.metacircular.contract.v1.DoctorRequest;
import dev.metacircular.contract.v1.DoctorResponse;
import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.contract.v1.ExecInput;
import dev.metacircular.contract.v1.ExecOutput;
import dev.metacircular.contract.v1.HelloRequest;
import dev.metacircular.contract.v1.HelloResponse;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.ListSecretsRequest;
import dev.metacircular.contract.v1.ListSecretsResponse;
import dev.metacircular.contract.v1.ListSnapshotsRequest;
import dev.metacircular.contract.v1.ListSnapshotsResponse;
import dev.metacircular.contract.v1.ListTokensRequest;
import dev.metacircular.contract.v1.ListTokensResponse;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.contract.v1.PlanRequest;
import dev.metacircular.contract.v1.PlanUpdate;
import dev.metacircular.contract.v1.PsRequest;
import dev.metacircular.contract.v1.PsResponse;
import dev.metacircular.contract.v1.PullOutput;
import dev.metacircular.contract.v1.PullRequest;
import dev.metacircular.contract.v1.PurgeRequest;
import dev.metacircular.contract.v1.PurgeResponse;
import dev.metacircular.contract.v1.PushInput;
import dev.metacircular.contract.v1.PushResponse;
import dev.metacircular.contract.v1.ReadSnapshotRequest;
import dev.metacircular.contract.v1.RemoveSecretRequest;
import dev.metacircular.contract.v1.RemoveSecretResponse;
import dev.metacircular.contract.v1.RestartRequest;
import dev.metacircular.contract.v1.RestartResponse;
import dev.metacircular.contract.v1.RestoreRequest;
import dev.metacircular.contract.v1.RestoreResponse;
import dev.metacircular.contract.v1.RevokeTokenRequest;
import dev.metacircular.contract.v1.RevokeTokenResponse;
import dev.metacircular.contract.v1.ServiceDocument;
import dev.metacircular.contract.v1.SetDesiredRequest;
import dev.metacircular.contract.v1.SetDesiredResponse;
import dev.metacircular.contract.v1.SetSecretRequest;
import dev.metacircular.contract.v1.SetSecretResponse;
import dev.metacircular.contract.v1.ShowNodeRequest;
import dev.metacircular.contract.v1.ShowNodeResponse;
import dev.metacircular.contract.v1.Snapshot;
import dev.metacircular.contract.v1.SnapshotPart;
import dev.metacircular.contract.v1.StatusRequest;
import dev.metacircular.contract.v1.StatusResponse;
import dev.metacircular.contract.v1.TakeSnapshotRequest;
import dev.metacircular.contract.v1.UploadSnapshotRequest;
import dev.metacircular.contract.v1.UploadSnapshotResponse;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** The contract's calls, each handed to what does it. */
final class AgentService extends AgentGrpc.AgentImplBase {
    private static final List<String> FEATURES = List.of(
            "deploy",
            "events",
            "logs",
            "exec",
            "tokens",
            "doctor",
            "purge_data",
            "files",
            "secrets",
            "adopt",
            "backup");

    private final Parts parts;

    /** Everything that the calls are handed to. */
    record Parts(
            Name node,
            TokenService tokens,
            Outcomes outcomes,
            DeployService deploys,
            OperatorActions actions,
            AdoptionService adoption,
            StatusService status,
            LogService logs,
            ExecService exec,
            FileService files,
            SecretService secrets,
            BackupService backups,
            ImageCollection images,
            NodeFacts facts,
            EventService events,
            Doctor doctor) {}

    AgentService(Parts parts) {
        this.parts = parts;
    }

    private static <R> void answer(StreamObserver<R> observer, Supplier<R> work) {
        ignoreCancellation(observer);
        try {
            R response = work.get();
            observer.onNext(response);
            observer.onCompleted();
        } catch (RuntimeException e) {
            observer.onError(Problems.toStatus(PlanExecutor.problem(e)));
        }
    }

    @Override
    public void hello(HelloRequest request, StreamObserver<HelloResponse> observer) {
        answer(
                observer,
                () -> HelloResponse.newBuilder()
                        .setVersion(Version.TEXT)
                        .setNode(parts.node().value())
                        .addAllFeatures(FEATURES)
                        .setRole(Caller.current().role().toString())
                        .setTokenName(Caller.current().token())
                        .build());
    }

    @Override
    public void list(ListRequest request, StreamObserver<ListResponse> observer) {
        answer(observer, () -> parts.status().list(Messages.optionalName(request.getService(), "service")));
    }

    @Override
    public void ps(PsRequest request, StreamObserver<PsResponse> observer) {
        answer(observer, () -> parts.status().ps(Messages.optionalName(request.getService(), "service")));
    }

    @Override
    public void status(StatusRequest request, StreamObserver<StatusResponse> observer) {
        answer(observer, () -> parts.status().status(Messages.optionalName(request.getService(), "service")));
    }

    @Override
    public void showNode(ShowNodeRequest request, StreamObserver<ShowNodeResponse> observer) {
        answer(observer, () -> parts.facts().show());
    }

    @Override
    public void doctor(DoctorRequest request, StreamObserver<DoctorResponse> observer) {
        answer(observer, () -> parts.doctor().examine());
    }

    @Override
    public void plan(PlanRequest request, StreamObserver<PlanUpdate> observer) {
        boolean mayPull = Caller.current().role() == Role.OPERATOR;
        answer(observer, () -> {
            Service service = service(request.getService());
            var plan = parts.deploys()
                    .plan(service, target(service.name(), request.getComponent()), mayPull, (id, what, done, total) -> {
                        synchronized (observer) {
                            observer.onNext(PlanUpdate.newBuilder()
                                    .setProgress(DeployStream.progressMessage(id, what, done, total))
                                    .build());
                        }
                    });
            return PlanUpdate.newBuilder().setPlan(Responses.plan(plan)).build();
        });
    }

    /** A caller that goes away does not make what was begun fail half-way. */
    private static void ignoreCancellation(StreamObserver<?> observer) {
        if (observer instanceof ServerCallStreamObserver<?> server) {
            server.setOnCancelHandler(() -> {});
        }
    }

    static Service service(ServiceDocument document) {
        return Messages.fromMessage(document, toml -> ComponentDocuments.read(Messages.DOCUMENT_VERSION, toml));
    }

    private static Target target(Name service, String component) {
        return new Target(service, Messages.optionalName(component, "component"));
    }

    @Override
    public void deploy(DeployRequest request, StreamObserver<DeployUpdate> observer) {
        ignoreCancellation(observer);
        Caller caller = Caller.current();
        DeployStream stream = new DeployStream(observer);
        try {
            DeployResult result = parts.outcomes()
                    .once(caller, request.getIdempotencyKey(), "Deploy", DeployResult.parser(), () -> {
                        Service service = service(request.getService());
                        return Responses.deploy(parts.deploys()
                                .deploy(
                                        caller.token(),
                                        service,
                                        target(service.name(), request.getComponent()),
                                        request.getBaseGeneration(),
                                        plan -> Responses.plan(plan).equals(request.getPlan()),
                                        stream));
                    });
            stream.result(result);
            observer.onCompleted();
        } catch (RuntimeException e) {
            observer.onError(Problems.toStatus(PlanExecutor.problem(e)));
        }
    }

    @Override
    public void setDesired(SetDesiredRequest request, StreamObserver<SetDesiredResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> parts.outcomes()
                        .once(caller, request.getIdempotencyKey(), "SetDesired", SetDesiredResponse.parser(), () -> {
                            Map<Name, Desired> desired = new HashMap<>();
                            request.getDesiredMap()
                                    .forEach((c, d) -> desired.put(Messages.name(c, "component"), Messages.desired(d)));
                            Outcome outcome = parts.actions()
                                    .setDesired(
                                            caller.token(),
                                            Messages.name(request.getService(), "service"),
                                            request.getBaseGeneration(),
                                            request.hasActive() ? Optional.of(request.getActive()) : Optional.empty(),
                                            desired);
                            return SetDesiredResponse.newBuilder()
                                    .setGeneration(outcome.generation())
                                    .addAllComponents(Responses.components(outcome))
                                    .build();
                        }));
    }

    @Override
    public void restart(RestartRequest request, StreamObserver<RestartResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> parts.outcomes()
                        .once(caller, request.getIdempotencyKey(), "Restart", RestartResponse.parser(), () -> {
                            Outcome outcome = parts.actions()
                                    .restart(
                                            caller.token(),
                                            target(
                                                    Messages.name(request.getService(), "service"),
                                                    request.getComponent()),
                                            request.getBaseGeneration());
                            return RestartResponse.newBuilder()
                                    .addAllComponents(Responses.components(outcome))
                                    .build();
                        }));
    }

    @Override
    public void purge(PurgeRequest request, StreamObserver<PurgeResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> parts.outcomes()
                        .once(
                                caller,
                                request.getIdempotencyKey(),
                                "Purge",
                                PurgeResponse.parser(),
                                () -> PurgeResponse.newBuilder()
                                        .addAllRemoved(parts.actions()
                                                .purge(
                                                        caller.token(),
                                                        Messages.name(request.getService(), "service"),
                                                        request.getBaseGeneration(),
                                                        request.getData()))
                                        .build()));
    }

    @Override
    public void events(EventsRequest request, StreamObserver<Event> observer) {
        StreamReceiver.serve(observer, receiver -> parts.events().read(request, receiver));
    }

    @Override
    public void adopt(AdoptRequest request, StreamObserver<AdoptResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> request.getDryRun()
                        ? parts.adoption().adopt(caller.token(), request)
                        : parts.outcomes()
                                .once(
                                        caller,
                                        request.getIdempotencyKey(),
                                        "Adopt",
                                        AdoptResponse.parser(),
                                        () -> parts.adoption().adopt(caller.token(), request)));
    }

    @Override
    public void logs(LogsRequest request, StreamObserver<LogLine> observer) {
        StreamReceiver.serve(observer, lines -> parts.logs().read(request, lines));
    }

    @Override
    public StreamObserver<ExecInput> exec(StreamObserver<ExecOutput> observer) {
        return parts.exec().open(Caller.current(), observer);
    }

    @Override
    public StreamObserver<PushInput> push(StreamObserver<PushResponse> observer) {
        return parts.files().push(Caller.current(), observer);
    }

    @Override
    public void pull(PullRequest request, StreamObserver<PullOutput> observer) {
        parts.files().pull(request, observer);
    }

    @Override
    public void setSecret(SetSecretRequest request, StreamObserver<SetSecretResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> parts.outcomes()
                        .once(
                                caller,
                                request.getIdempotencyKey(),
                                "SetSecret",
                                SetSecretResponse.parser(),
                                () -> parts.secrets().set(request)));
    }

    @Override
    public void listSecrets(ListSecretsRequest request, StreamObserver<ListSecretsResponse> observer) {
        answer(observer, () -> parts.secrets().list(request.getService()));
    }

    @Override
    public void removeSecret(RemoveSecretRequest request, StreamObserver<RemoveSecretResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> parts.outcomes()
                        .once(
                                caller,
                                request.getIdempotencyKey(),
                                "RemoveSecret",
                                RemoveSecretResponse.parser(),
                                () -> parts.secrets().remove(request)));
    }

    @Override
    public void listSnapshots(ListSnapshotsRequest request, StreamObserver<ListSnapshotsResponse> observer) {
        answer(observer, () -> parts.backups().list());
    }

    @Override
    public void takeSnapshot(TakeSnapshotRequest request, StreamObserver<Snapshot> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> parts.outcomes()
                        .once(
                                caller,
                                request.getIdempotencyKey(),
                                "TakeSnapshot",
                                Snapshot.parser(),
                                () -> parts.backups().take()));
    }

    @Override
    public void readSnapshot(ReadSnapshotRequest request, StreamObserver<SnapshotPart> observer) {
        answer(observer, () -> parts.backups().read(request));
    }

    @Override
    public void uploadSnapshot(UploadSnapshotRequest request, StreamObserver<UploadSnapshotResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> parts.outcomes()
                        .once(
                                caller,
                                request.getIdempotencyKey(),
                                "UploadSnapshot",
                                UploadSnapshotResponse.parser(),
                                () -> parts.backups().upload(request)));
    }

    @Override
    public void restore(RestoreRequest request, StreamObserver<RestoreResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> request.getDryRun()
                        ? parts.backups().restore(caller.token(), request)
                        : parts.outcomes()
                                .once(
                                        caller,
                                        request.getIdempotencyKey(),
                                        "Restore",
                                        RestoreResponse.parser(),
                                        () -> parts.backups().restore(caller.token(), request)));
    }

    @Override
    public void collectImages(CollectImagesRequest request, StreamObserver<CollectImagesResponse> observer) {
        Caller caller = Caller.current();
        answer(
                observer,
                () -> request.getDryRun()
                        ? parts.images().collect(true)
                        : parts.outcomes()
                                .once(
                                        caller,
                                        request.getIdempotencyKey(),
                                        "CollectImages",
                                        CollectImagesResponse.parser(),
                                        () -> parts.images().collect(false)));
    }

    @Override
    public void listTokens(ListTokensRequest request, StreamObserver<ListTokensResponse> observer) {
        answer(observer, () -> parts.tokens().list());
    }

    @Override
    public void addToken(AddTokenRequest request, StreamObserver<AddTokenResponse> observer) {
        Caller caller = Caller.current();
        answer(observer, () -> parts.tokens().add(caller, request));
    }

    @Override
    public void revokeToken(RevokeTokenRequest request, StreamObserver<RevokeTokenResponse> observer) {
        Caller caller = Caller.current();
        answer(observer, () -> parts.tokens().revoke(caller, request));
    }
}
