package dev.metacircular.runtime.microvm;

import dev.metacircular.model.InstanceState;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.microvm.StateDirectories.State;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.VmException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** How guests ended; each end is looked up once. */
final class Endings {
    /** There was no VM, or it ended without a word. */
    static final int NO_STATUS = 125;

    private static final int SIGNALLED = 128;
    private static final int STATUS_BYTES_MAX = 16;
    private static final Pattern STATUS = Pattern.compile("[0-9]{1,3}");

    private record Known(InstanceState.Ended carrier, InstanceState.Ended guest) {}

    private final Map<InstanceId, Known> known = new ConcurrentHashMap<>();

    /**
     * The end of the guest.
     *
     * @param carrier the end of the carrier, as podman tells it
     * @param state its directory, asked for only where needed
     * @throws RuntimeFailure {@code UNREACHABLE} where it cannot be read for a cause that may pass
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

    /** The folder was the VMM's to write to, which may have put anything there: what is no status or no channel tells nothing. */
    private static Optional<Integer> read(State state) {
        Path file = state.exit();
        try {
            if (isRegular(file)) {
                return number(file);
            }
            file = state.channel();
            return isRegular(file)
                    ? ChannelReader.exitStatus(file).map(ChannelMessage.ExitStatus::status)
                    : Optional.empty();
        } catch (AccessDeniedException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw unreadable(file, e);
        } catch (VmException e) {
            if (e.getCause() instanceof IOException cause && !(cause instanceof AccessDeniedException)) {
                throw unreadable(file, cause);
            }
            return Optional.empty();
        }
    }

    private static boolean isRegular(Path file) throws IOException {
        try {
            return Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                    .isRegularFile();
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    private static Optional<Integer> number(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
            String text = new String(in.readNBytes(STATUS_BYTES_MAX), StandardCharsets.ISO_8859_1).strip();
            return STATUS.matcher(text).matches() ? Optional.of(Integer.valueOf(text)) : Optional.empty();
        }
    }

    private static RuntimeFailure unreadable(Path channel, IOException e) {
        return new RuntimeFailure(
                RuntimeFailure.Kind.UNREACHABLE,
                "cannot find out how a VM ended: " + channel + ": "
                        + e.getClass().getSimpleName() + " "
                        + String.valueOf(e.getMessage()).replaceAll("\\p{Cntrl}", "?"),
                e);
    }
}
