package dev.metacircular.agent;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Problem;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;

/** Makes a registered component's instance again, from its document and the very image that its deploy took. */
final class Recreation {
    private final Runtimes runtimes;
    private final Lifecycle lifecycle;

    Recreation(Runtimes runtimes, Lifecycle lifecycle) {
        this.runtimes = runtimes;
        this.lifecycle = lifecycle;
    }

    /** Makes it, not started; an image that is gone is pulled again, and refused if it is another now. */
    InstanceId create(KnownService service, KnownService.Member m) {
        Runtime runtime = runtimes.of(m.component().runtime());
        String pinned = m.row().imageId();
        if (pinned.isEmpty()) {
            return create(service, m, find(runtime, m.component().image()).id());
        }
        try {
            return create(service, m, pinned);
        } catch (RuntimeFailure e) {
            if (e.kind() != RuntimeFailure.Kind.NOT_FOUND) {
                throw e;
            }
        }
        Image pulled = runtime.pull(m.component().image(), (_, _, _) -> {});
        if (!pulled.id().equals(pinned)) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the image that it was deployed from is gone from the node, and "
                                    + m.component().image() + " means another one now")
                    .at(m.id().toString())
                    .next("mcp deploy " + m.id())
                    .exception();
        }
        return create(service, m, pinned);
    }

    private static Image find(Runtime runtime, ImageRef ref) {
        return runtime.image(ref).orElseGet(() -> runtime.pull(ref, (_, _, _) -> {}));
    }

    private InstanceId create(KnownService service, KnownService.Member m, String imageId) {
        return lifecycle.create(
                m.id(), m.component(), service.generation(), m.row().documentDigest(), imageId);
    }
}
