package dev.metacircular.agent;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.ListSecretsResponse;
import dev.metacircular.contract.v1.RemoveSecretRequest;
import dev.metacircular.contract.v1.RemoveSecretResponse;
import dev.metacircular.contract.v1.Secret;
import dev.metacircular.contract.v1.SetSecretRequest;
import dev.metacircular.contract.v1.SetSecretResponse;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Takes values of secrets, which no call gives back. */
final class SecretService {
    private final SecretStore store;
    private final NodeView view;

    SecretService(SecretStore store, NodeView view) {
        this.store = store;
        this.view = view;
    }

    SetSecretResponse set(SetSecretRequest request) {
        Name service = Messages.name(request.getService(), "service");
        store.set(service, request.getName(), request.getValue().toByteArray());
        return SetSecretResponse.newBuilder()
                .addAllUsedBy(usedBy(service, request.getName()))
                .build();
    }

    ListSecretsResponse list(String serviceName) {
        Name service = Messages.name(serviceName, "service");
        Map<String, Long> setAt = new TreeMap<>();
        view.service(service).stream()
                .flatMap(s -> s.components().stream())
                .flatMap(m -> m.component().secrets().stream())
                .forEach(s -> setAt.put(s, 0L));
        store.list(service).forEach(k -> setAt.put(k.name(), k.setAt().toEpochMilli()));
        ListSecretsResponse.Builder response = ListSecretsResponse.newBuilder();
        setAt.forEach((name, at) -> response.addSecrets(
                Secret.newBuilder().setName(name).setSetAtMs(at).addAllUsedBy(usedBy(service, name))));
        return response.build();
    }

    /** One that a registered component names stays, for the component could not be made again without it. */
    RemoveSecretResponse remove(RemoveSecretRequest request) {
        Name service = Messages.name(request.getService(), "service");
        List<String> users = usedBy(service, request.getName());
        if (!users.isEmpty()) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the secret " + request.getName() + " is used by " + String.join(", ", users))
                    .at(service.value())
                    .next("take it out of the definition and deploy that first, or set another value")
                    .exception();
        }
        store.remove(service, request.getName());
        return RemoveSecretResponse.getDefaultInstance();
    }

    private List<String> usedBy(Name service, String name) {
        return view.service(service).stream()
                .flatMap(s -> s.components().stream())
                .filter(m -> m.component().secrets().contains(name))
                .map(m -> m.id().component().value())
                .toList();
    }
}
