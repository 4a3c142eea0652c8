package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.InstanceState;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.microvm.StateDirectories.State;
import dev.metacircular.vm.ChannelReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is told of an end, whatever stands where the guest's channel was. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class EndingsTest {
    private static final InstanceId ID = new InstanceId(RuntimeKind.UNIKERNEL, "0123");

    @TempDir
    private Path folder;

    private final Endings endings = new Endings();

    private State state(String name) throws IOException {
        State state = new State(folder.resolve(name));
        Files.createDirectories(state.vm());
        return state;
    }

    private int told(State state, int carrier) {
        InstanceState.Ended ended = new InstanceState.Ended(carrier, Instant.EPOCH, Instant.EPOCH);
        int status = endings.of(ID, ended, () -> Optional.of(state)).exitStatus();
        endings.forget(ID);
        return status;
    }

    @Test
    void whatIsNoChannelTellsNothingAndStopsNobody() throws IOException {
        State pipe = state("pipe");
        Shell.run("mkfifo", pipe.channel().toString());
        State sound = state("sound");
        ChannelReader.create(sound.channel(), 64);
        State noise = state("noise");
        Files.write(noise.channel(), new byte[100]);
        State link = state("link");
        Files.createSymbolicLink(link.channel(), Path.of("/dev/zero"));
        State directory = state("directory");
        Files.createDirectory(directory.channel());
        for (State state : List.of(pipe, sound, noise, link, directory, state("none"))) {
            assertThat(told(state, 0)).as(state.toString()).isEqualTo(Endings.NO_STATUS);
            assertThat(told(state, 137)).as(state.toString()).isEqualTo(137);
        }
    }

    @Test
    void aStatusInAFileIsReadWhereItIsOne() throws IOException {
        State sound = state("sound");
        Files.writeString(sound.exit(), "7\n");
        assertThat(told(sound, 0)).isEqualTo(7);
        State pipe = state("pipe");
        Shell.run("mkfifo", pipe.exit().toString());
        State link = state("link");
        Files.createSymbolicLink(link.exit(), Path.of("/dev/zero"));
        State noise = state("noise");
        Files.writeString(noise.exit(), "7".repeat(1_000_000));
        for (State state : List.of(pipe, link, noise)) {
            assertThat(told(state, 0)).as(state.toString()).isEqualTo(Endings.NO_STATUS);
        }
    }

    @Test
    void oneThatCannotBeReadNowIsReadLater() throws IOException {
        Path loop = Files.createSymbolicLink(folder.resolve("state"), folder.resolve("state"));
        State state = new State(loop);
        RuntimeFailure failure = catchThrowableOfType(RuntimeFailure.class, () -> told(state, 0));
        assertThat(failure.kind()).isEqualTo(RuntimeFailure.Kind.UNREACHABLE);
        assertThat(failure).hasMessageContaining(loop.toString());
        Files.delete(loop);
        assertThat(told(state, 0)).isEqualTo(Endings.NO_STATUS);
    }
}
