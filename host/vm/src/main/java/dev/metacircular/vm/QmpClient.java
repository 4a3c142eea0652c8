package dev.metacircular.vm;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.VmException.Fault;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;

/**
 * QEMU's control socket (QMP; qemu-qmp-ref(7)). One connection for one command: QEMU serves one client at a time, and several processes
 * may watch one VM.
 */
final class QmpClient {
    private static final ObjectMapper JSON = new ObjectMapper();

    private QmpClient() {}

    /**
     * Executes a command without arguments. QEMU 7.2 hangs at its end when a command arrives while it shuts down, so this is for a
     * guest that does not run.
     *
     * @return its result, missing when QEMU ended after it had taken the command; empty when nobody listens, or not any more
     * @throws VmException VMM when QEMU answers an error, DEADLINE when it does not answer in time
     */
    static Optional<JsonNode> execute(Path socket, String command, Duration deadline) {
        boolean taken = false;
        try (ShortPath way = ShortPath.to(socket);
                Connection connection = new Connection(way.path(), command, deadline)) {
            connection.receive("QMP");
            connection.send(JSON.createObjectNode().put("execute", "qmp_capabilities"));
            connection.receive("return");
            connection.send(JSON.createObjectNode().put("execute", command));
            taken = true;
            return Optional.of(connection.receive("return"));
        } catch (IOException nobodyListens) {
            return taken ? Optional.of(MissingNode.getInstance()) : Optional.empty();
        }
    }

    private static final class Connection implements AutoCloseable {
        private final SocketChannel channel;
        private final Selector selector;
        private final String command;
        private final long deadlineNanos;
        private final Duration deadline;
        private ByteBuffer input = ByteBuffer.allocate(16_384);

        Connection(Path socket, String command, Duration deadline) throws IOException {
            this.command = command;
            this.deadline = deadline;
            this.deadlineNanos = System.nanoTime() + deadline.toNanos();
            this.channel = connect(socket);
            try {
                this.selector = Selector.open();
            } catch (IOException e) {
                channel.close();
                throw e;
            }
        }

        /** A connection that is not made at once waits for other clients; a blocking one could wait for ever. */
        private SocketChannel connect(Path socket) throws IOException {
            while (true) {
                SocketChannel fresh = SocketChannel.open(StandardProtocolFamily.UNIX);
                try {
                    fresh.configureBlocking(false);
                    if (fresh.connect(UnixDomainSocketAddress.of(socket))) {
                        return fresh;
                    }
                } catch (IOException e) {
                    fresh.close();
                    throw e;
                }
                fresh.close();
                checkDeadline();
                LockSupport.parkNanos(Limits.POLL_INTERVAL_MAX.toNanos());
            }
        }

        void send(ObjectNode message) throws IOException {
            ByteBuffer bytes = ByteBuffer.wrap((message + "\n").getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                if (channel.write(bytes) == 0) {
                    await(SelectionKey.OP_WRITE);
                }
            }
        }

        /** The value of this field in the next message that has it; events in between are skipped. */
        JsonNode receive(String field) throws IOException {
            while (true) {
                JsonNode message = JSON.readTree(line());
                if (message.has("error")) {
                    throw new VmException(
                            Fault.VMM,
                            "QEMU refused " + command + ": "
                                    + message.path("error").path("desc").asText());
                }
                if (message.has(field)) {
                    return message.get(field);
                }
            }
        }

        private String line() throws IOException {
            int scanned = 0;
            while (true) {
                for (int i = scanned; i < input.position(); i++) {
                    if (input.get(i) == '\n') {
                        String line = new String(input.array(), 0, i, StandardCharsets.UTF_8);
                        input.flip().position(i + 1);
                        input.compact();
                        return line;
                    }
                }
                scanned = input.position();
                if (!input.hasRemaining()) {
                    grow();
                }
                int count = channel.read(input);
                if (count < 0) {
                    throw new IOException("connection closed");
                }
                if (count == 0) {
                    await(SelectionKey.OP_READ);
                }
            }
        }

        private void grow() {
            if (input.capacity() >= Limits.CONTROL_MESSAGE_BYTES_MAX) {
                throw new VmException(
                        Fault.VMM,
                        "QEMU's answer to " + command + " is longer than " + Limits.CONTROL_MESSAGE_BYTES_MAX
                                + " bytes");
            }
            input = ByteBuffer.allocate(input.capacity() * 2).put(input.flip());
        }

        private void await(int operation) throws IOException {
            long leftMillis = (deadlineNanos - System.nanoTime()) / 1_000_000;
            if (leftMillis > 0) {
                channel.register(selector, operation);
                selector.selectedKeys().clear();
                selector.select(leftMillis);
            }
            checkDeadline();
        }

        private void checkDeadline() {
            if (System.nanoTime() >= deadlineNanos) {
                throw new VmException(
                        Fault.DEADLINE, "QEMU did not answer " + command + " within " + deadline.toMillis() + " ms");
            }
            if (Thread.currentThread().isInterrupted()) {
                throw new VmException(Fault.DEADLINE, "interrupted while waiting for QEMU to answer " + command);
            }
        }

        @Override
        public void close() throws IOException {
            selector.close();
            channel.close();
        }
    }
}
