package dev.metacircular.runtime.microvm;

import dev.metacircular.model.InstanceState;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.microvm.StateDirectories.State;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.VmException;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** How guests ended; each end is looked up once. */
final class Endings {
    /** There was no VM, or it ended without a word. */
    static final int NO_STATUS = 125;

    private static final int SIGNALLED = 128;

    private record Known(InstanceState.Ended carrier, InstanceState.Ended guest) {}

    private final Map<InstanceId, Known> known = new ConcurrentHashMap<>();

    /**
     * The end of the guest.
     *
     * @param carrier the end of the carrier, as podman tells it
     * @param state its directory, asked for only where needed
     */
    InstanceState.Ended of(InstanceId id, InstanceState.Ended carrier, Supplier<Optional<State>> state) {
        Known before = known.get(id);
        if (before != null && before.carrier.equals(carrier)) {
            return before.guest;
        }
        InstanceState.Ended guest =
                new InstanceState.Ended(status(carrier.exitStatus(), state), carrier.startedAt(), carrier.endedAt());
        known.put(id, new Known(carrier, guest));
        return guest;
    }

    void forget(InstanceId id) {
        known.remove(id);
    }

    void retain(Collection<InstanceId> ids) {
        known.keySet().retainAll(ids);
    }

    /** The script says 125 before it has a channel, and podman where it cannot run the script. */
    private static int status(int carrier, Supplier<Optional<State>> state) {
        if (carrier == NO_STATUS) {
            return NO_STATUS;
        }
        Optional<Integer> guest = state.get().flatMap(Endings::read);
        return guest.orElse(carrier > SIGNALLED ? carrier : NO_STATUS);
    }

    private static Optional<Integer> read(State state) {
        try {
            if (Files.exists(state.exit())) {
                return Optional.of(
                        Integer.parseInt(Files.readString(state.exit()).strip()));
            }
            return ChannelReader.exitStatus(state.channel()).map(ChannelMessage.ExitStatus::status);
        } catch (VmException | IOException | NumberFormatException e) {
            return Optional.empty();
        }
    }
}
