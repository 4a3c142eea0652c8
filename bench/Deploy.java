import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Time until a published port answers HTTP: by the podman calls that a deploy makes (network, create, start; libpod's API, by hand), and by
 * {@code mcp deploy}, from the Deploy call's arrival at the agent (the audit log's time stamp) and from the command's start. Interleaved;
 * medians in milliseconds.
 *
 * <p>Arguments: mcp, operator's directory, audit log, podman's socket, image, rounds.
 */
public final class Deploy {
    private static final Duration LIMIT = Duration.ofSeconds(30);

    public static void main(String[] arguments) throws Exception {
        String mcp = arguments[0];
        Path operator = Path.of(arguments[1]);
        Path audit = Path.of(arguments[2]);
        Path podman = Path.of(arguments[3]);
        String image = arguments[4];
        int rounds = Integer.parseInt(arguments[5]);
        List<Double> byHand = new ArrayList<>();
        List<Double> fromArrival = new ArrayList<>();
        List<Double> fromCommand = new ArrayList<>();
        for (int round = -1; round < rounds; round++) {
            int port = 26_000 + (round + 1) * 2;
            double hand = byHand(podman, image, port, "bench-hand-" + round);
            define(operator, image, port + 1);
            double[] deploy = deploy(mcp, operator, audit, port + 1);
            run(operator, mcp, "stop", "bench");
            run(operator, mcp, "purge", "bench");
            if (round >= 0) {
                byHand.add(hand);
                fromArrival.add(deploy[0]);
                fromCommand.add(deploy[1]);
                System.out.printf("round %2d: by hand %6.1f, from arrival %6.1f, from the command %6.1f ms%n", round, hand, deploy[0], deploy[1]);
            }
        }
        System.out.printf("%n%-40s %8.1f ms%n", "podman's calls by hand", median(byHand));
        System.out.printf("%-40s %8.1f ms%n", "mcp deploy, from the call's arrival", median(fromArrival));
        System.out.printf("%-40s %8.1f ms%n", "mcp deploy, from the command's start", median(fromCommand));
        System.out.printf("%-40s %8.1f ms (promise: at most 60)%n", "overhead from arrival", median(fromArrival) - median(byHand));
    }

    private static double median(List<Double> values) {
        List<Double> sorted = new ArrayList<>(values);
        Collections.sort(sorted);
        int n = sorted.size();
        return n % 2 == 1 ? sorted.get(n / 2) : (sorted.get(n / 2 - 1) + sorted.get(n / 2)) / 2;
    }

    private static double byHand(Path podman, String image, int port, String name) throws Exception {
        long begun = System.nanoTime();
        call(podman, "POST", "/v4.0.0/libpod/networks/create", "{\"name\":\"" + name + "\",\"dns_enabled\":true}");
        String spec = """
                {"name":"%1$s","image":"%2$s","command":["web"],"netns":{"nsmode":"bridge"},"Networks":{"%1$s":{"aliases":["web"]}},
                 "portmappings":[{"host_ip":"127.0.0.1","host_port":%3$d,"container_port":8080,"protocol":"tcp"}],
                 "log_configuration":{"driver":"k8s-file"}}"""
                .formatted(name, image, port);
        call(podman, "POST", "/v4.0.0/libpod/containers/create", spec);
        call(podman, "POST", "/v4.0.0/libpod/containers/" + name + "/start", "");
        awaitAnswer(port);
        double took = (System.nanoTime() - begun) / 1e6;
        call(podman, "DELETE", "/v4.0.0/libpod/containers/" + name + "?force=true&timeout=0", "");
        call(podman, "DELETE", "/v4.0.0/libpod/networks/" + name, "");
        return took;
    }

    private static void call(Path podman, String method, String path, String body) throws IOException {
        byte[] content = body.getBytes(StandardCharsets.UTF_8);
        String head = "%s %s HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                .formatted(method, path, content.length);
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(podman));
            channel.write(ByteBuffer.wrap(head.getBytes(StandardCharsets.US_ASCII)));
            channel.write(ByteBuffer.wrap(content));
            ByteArrayOutputStream answer = new ByteArrayOutputStream();
            ByteBuffer buffer = ByteBuffer.allocate(8192);
            while (channel.read(buffer) >= 0) {
                answer.write(buffer.array(), 0, buffer.position());
                buffer.clear();
            }
            String text = answer.toString(StandardCharsets.UTF_8);
            if (!text.matches("(?s)HTTP/1.1 (2|304).*")) {
                throw new IOException(method + " " + path + ": " + text);
            }
        }
    }

    private static void awaitAnswer(int port) throws Exception {
        long until = System.nanoTime() + LIMIT.toNanos();
        while (System.nanoTime() < until) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress("127.0.0.1", port), 500);
                socket.setSoTimeout(500);
                socket.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
                if (socket.getInputStream().read() == 'H') {
                    return;
                }
            } catch (IOException notYet) {
                Thread.sleep(1);
            }
        }
        throw new IOException("port " + port + " does not answer");
    }

    private static void define(Path operator, String image, int port) throws IOException {
        Files.writeString(operator.resolve("services/bench.toml"), """
                name = "bench"
                node = "alpha"

                [[components]]
                name = "web"
                image = "%s"
                cmd = ["web"]
                ports = ["127.0.0.1:%d:8080"]

                [components.health]
                tcp = 8080
                """.formatted(image, port));
    }

    private static double[] deploy(String mcp, Path operator, Path audit, int port) throws Exception {
        Instant begun = Instant.now();
        Process process = start(operator, mcp, "deploy", "bench");
        awaitAnswer(port);
        Instant answered = Instant.now();
        end(process);
        Pattern form = Pattern.compile("\"time\":\"([^\"]+)\".*\"method\":\"Deploy\"");
        Instant arrived = Files.readAllLines(audit).reversed().stream()
                .map(form::matcher)
                .filter(Matcher::find)
                .map(m -> Instant.parse(m.group(1)))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("no Deploy in " + audit));
        return new double[] {millis(arrived, answered), millis(begun, answered)};
    }

    private static double millis(Instant from, Instant to) {
        return Duration.between(from, to).toNanos() / 1e6;
    }

    private static void run(Path operator, String... command) throws Exception {
        end(start(operator, command));
    }

    private static Process start(Path operator, String... command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("MCP_CONFIG", operator.toString());
        return builder.start();
    }

    private static void end(Process process) throws Exception {
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IllegalStateException("exit " + process.exitValue() + ": " + output);
        }
    }
}
