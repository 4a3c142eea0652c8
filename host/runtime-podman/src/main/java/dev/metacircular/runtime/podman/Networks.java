package dev.metacircular.runtime.podman;

import dev.metacircular.model.Name;
import dev.metacircular.runtime.Network;
import java.util.Locale;
import java.util.Map;

/** Podman's networks of the bridge kind, on which its resolver answers for aliases. */
final class Networks {
    private final Libpod libpod;
    private final Name node;

    Networks(Libpod libpod, Name node) {
        this.libpod = libpod;
        this.node = node;
    }

    void ensure(Network network) {
        Request request = Request.post("make the network " + network.name(), Libpod.path("/networks/create"))
                .json(Map.of(
                        "name",
                        network.name(),
                        "driver",
                        "bridge",
                        "dns_enabled",
                        true,
                        "labels",
                        Map.of(Labels.NODE, node.value())));
        Answer answer = libpod.change(request);
        boolean another = answer.message().toLowerCase(Locale.ROOT).contains("network already exists");
        if (!answer.isSuccess() && !another) {
            throw Libpod.failure(request, answer);
        }
    }

    void remove(Network network) {
        Request request =
                Request.delete("remove the network " + network.name(), Libpod.path("/networks/{}", network.name()));
        Answer answer = libpod.change(request);
        boolean used = answer.message().toLowerCase(Locale.ROOT).contains("network is being used");
        if (!answer.isSuccess() && answer.status() != 404 && !used) {
            throw Libpod.failure(request, answer);
        }
    }
}
