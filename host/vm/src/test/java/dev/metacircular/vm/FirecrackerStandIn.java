package dev.metacircular.vm;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;

/**
 * A program with Firecracker's command line and API that runs the guest in QEMU: what the driver does is checked as by the real one, without
 * KVM. It ends when the guest does, with the exit code of the real one, and the guest ends when it is killed.
 */
final class FirecrackerStandIn {
    private static final int REQUEST_BYTES_MAX = 51_200;
    private static final Path INITRD_COPY = Path.of("stand-in.initrd");

    private FirecrackerStandIn() {}

    /** Arguments: the QEMU to use, then Firecracker's own. */
    public static void main(String[] words) throws Exception {
        List<String> arguments = List.of(words);
        Path qemu = Path.of(arguments.get(0));
        Path socket = Path.of("none");
        String id = "anonymous-instance";
        for (int i = 1; i < arguments.size(); i += 2) {
            switch (arguments.get(i)) {
                case "--api-sock" -> socket = Path.of(arguments.get(i + 1));
                case "--id" -> id = arguments.get(i + 1);
                case "--log-path" ->
                    Files.newOutputStream(Path.of(arguments.get(i + 1))).close();
                case "--level" -> {}
                default ->
                    fail("Arguments parsing error: Found argument '" + arguments.get(i)
                            + "' which wasn't expected, or isn't valid in this context.");
            }
        }
        if (!id.matches("[A-Za-z0-9-]{1,64}")) {
            fail("Invalid instance ID: " + id);
        }
        if (Files.exists(socket)) {
            fail("Failed to open the API socket at: " + socket + ". Check that it is not already used.");
        }
        CompletableFuture<CheckingFirecracker> booted = new CompletableFuture<>();
        CheckingFirecracker api = new CheckingFirecracker(id, configuration -> {
            keepInitrd(configuration.bootSource());
            booted.complete(configuration);
        });
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        Thread.ofPlatform().daemon().start(() -> serve(server, api));
        // Started from the main thread, which lives as long as the process: with it the guest dies.
        System.exit(new ProcessBuilder(guest(qemu, booted.get()))
                .inheritIO()
                .start()
                .waitFor());
    }

    /** The real one has read it when it answers the start. */
    private static void keepInitrd(JsonNode boot) throws IOException {
        if (boot.has("initrd_path")) {
            Files.copy(Path.of(boot.path("initrd_path").asText()), INITRD_COPY);
        }
    }

    private static void fail(String message) {
        System.err.println(message);
        System.exit(1);
    }

    private static List<String> guest(Path qemu, CheckingFirecracker api) {
        List<String> words = new ArrayList<>(List.of("setpriv", "--pdeathsig", "KILL"));
        words.addAll(QemuCommand.machine(qemu, Accelerator.EMULATION, api.vcpus(), api.memoryMebibytes()));
        words.addAll(QemuCommand.console());
        JsonNode boot = api.bootSource();
        words.addAll(List.of("-kernel", boot.path("kernel_image_path").asText()));
        words.addAll(List.of("-append", boot.path("boot_args").asText() + " pci=off"));
        if (boot.has("initrd_path")) {
            words.addAll(List.of("-initrd", INITRD_COPY.toString()));
        }
        api.drives()
                .forEach((id, drive) -> words.addAll(List.of(
                        "-drive",
                        "if=none,format=raw,id=" + id
                                + ",readonly=" + (drive.path("is_read_only").asBoolean() ? "on" : "off")
                                + ",file="
                                + QemuCommand.escaped(drive.path("path_on_host").asText()),
                        "-device",
                        "virtio-blk-device,drive=" + id)));
        return words;
    }

    static void serve(ServerSocketChannel server, CheckingFirecracker api) {
        while (true) {
            try (SocketChannel connection = server.accept()) {
                serve(connection, api);
            } catch (java.nio.channels.ClosedChannelException closed) {
                return;
            } catch (IOException clientLeft) {
                // The next one.
            }
        }
    }

    /** Requests over one connection, as many as the client sends. */
    private static void serve(SocketChannel connection, CheckingFirecracker api) throws IOException {
        ByteArrayOutputStream input = new ByteArrayOutputStream();
        while (true) {
            String head = readUntilBlankLine(connection, input);
            String[] requestLine = head.lines().findFirst().orElseThrow().split(" ", -1);
            int length = head.lines()
                    .map(line -> line.toLowerCase(Locale.ROOT))
                    .filter(line -> line.startsWith("content-length:"))
                    .mapToInt(line -> Integer.parseInt(line.substring(15).strip()))
                    .findFirst()
                    .orElse(0);
            String body = readBody(connection, input, length);
            if (length > REQUEST_BYTES_MAX) {
                send(
                        connection,
                        new CheckingFirecracker.Answer(
                                400,
                                "{ \"error\": \"Request payload with size " + length
                                        + " is larger than the limit of 51200 allowed by server.\n"
                                        + "All previous unanswered requests will be dropped.\" }"));
                return;
            }
            send(connection, api.answer(requestLine[0], requestLine[1], body));
        }
    }

    private static String readUntilBlankLine(SocketChannel connection, ByteArrayOutputStream input) throws IOException {
        while (true) {
            String text = input.toString(StandardCharsets.ISO_8859_1);
            int end = text.indexOf("\r\n\r\n");
            if (end >= 0) {
                byte[] rest = text.substring(end + 4).getBytes(StandardCharsets.ISO_8859_1);
                input.reset();
                input.writeBytes(rest);
                return text.substring(0, end);
            }
            receive(connection, input);
        }
    }

    private static String readBody(SocketChannel connection, ByteArrayOutputStream input, int length)
            throws IOException {
        while (input.size() < length) {
            receive(connection, input);
        }
        byte[] bytes = input.toByteArray();
        input.reset();
        input.write(bytes, length, bytes.length - length);
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }

    private static void receive(SocketChannel connection, ByteArrayOutputStream input) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(4_096);
        if (connection.read(buffer) < 0) {
            throw new IOException("closed");
        }
        input.write(buffer.array(), 0, buffer.position());
    }

    /** As recorded: no reason phrase; no length where there is no body. */
    private static void send(SocketChannel connection, CheckingFirecracker.Answer answer) throws IOException {
        byte[] body = answer.body().getBytes(StandardCharsets.UTF_8);
        String head = "HTTP/1.1 " + answer.code() + " \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n"
                + (body.length == 0
                        ? "\r\n"
                        : "Content-Type: application/json\r\nContent-Length: " + body.length + "\r\n\r\n");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(head.getBytes(StandardCharsets.ISO_8859_1));
        bytes.writeBytes(body);
        ByteBuffer out = ByteBuffer.wrap(bytes.toByteArray());
        while (out.hasRemaining()) {
            connection.write(out);
        }
    }
}
