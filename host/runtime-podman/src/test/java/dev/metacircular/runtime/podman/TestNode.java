package dev.metacircular.runtime.podman;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.runtime.ConformanceBackend;
import dev.metacircular.runtime.Runtime;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Real rootless podman, as {@code host/scripts/rootless-podman-env} provides it, with an image of static busybox and two image
 * registries: one over plain HTTP, one over TLS with a private authority and basic authentication. All that it
 * makes bears the run's own name and is gone when it is closed.
 */
final class TestNode implements ConformanceBackend {
    private static final Path SCRIPTS = Path.of("../scripts").toAbsolutePath().normalize();
    private static final Duration COMMAND = Duration.ofSeconds(60);
    private static final String UNTIL_ASKED = "trap 'exit 0' TERM; sleep 1000 & wait";

    private final String run = "mct-%08x".formatted(ThreadLocalRandom.current().nextInt());
    private final Map<String, String> environment = new HashMap<>();
    private final List<Process> registries = new ArrayList<>();
    private final Path folder;
    private final Path socket;
    private final Path home;
    private final int plainPort;
    private final int tlsPort;
    private final PodmanRuntime runtime;
    private int contents;

    TestNode() {
        for (String line : script("rootless-podman-env").lines().toList()) {
            String[] parts = line.split("=", 2);
            environment.put(parts[0], parts[1]);
        }
        socket = Path.of(System.getProperty(
                "metacircular.podman.socket", environment.getOrDefault("METACIRCULAR_PODMAN_SOCKET", "")));
        home = Path.of(environment.getOrDefault("METACIRCULAR_PODMAN_HOME", "/"));
        try {
            folder = Files.createTempDirectory("metacircular-podman");
            plainPort = freePort();
            tlsPort = freePort();
            startRegistry("plain", plainPort);
            startRegistry("tls", tlsPort, "--tls", "--user", "puller:s3cret");
            writeAuth();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        script("rootless-podman-env", "run", "mkdir", "-p", home + "/.config/containers/certs.d");
        script("busybox-image", image().toString());
        moveTag();
        push(image().toString(), plainPort, "workloads:v1");
        runtime = new PodmanRuntime(options());
    }

    /** The options of {@link #runtime}. */
    PodmanOptions options() {
        Optional<Path> ca = Optional.of(folder.resolve("tls/ca.pem"));
        return PodmanOptions.of(socket, node())
                .withHome(home)
                .withRegistries(Map.of(
                        "127.0.0.1:" + plainPort,
                        RegistryOptions.plainHttp(),
                        "127.0.0.1:" + tlsPort,
                        new RegistryOptions(Optional.of(folder.resolve("auth.json")), ca, false),
                        "localhost:" + tlsPort,
                        new RegistryOptions(Optional.empty(), ca, false)));
    }

    Path folder() {
        return folder;
    }

    Path socket() {
        return socket;
    }

    /** An image in the registry over plain HTTP. */
    ImageRef plain() {
        return ImageRef.parse("127.0.0.1:" + plainPort + "/workloads:v1");
    }

    private void writeAuth() throws IOException {
        String auth = Base64.getEncoder().encodeToString("puller:s3cret".getBytes(StandardCharsets.UTF_8));
        Files.writeString(
                folder.resolve("auth.json"), "{\"auths\":{\"127.0.0.1:" + tlsPort + "\":{\"auth\":\"" + auth + "\"}}}");
    }

    private void startRegistry(String name, int port, String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                SCRIPTS.resolve("test-registry").toString(),
                folder.resolve(name).toString(),
                Integer.toString(port)));
        command.addAll(List.of(more));
        Path log = folder.resolve(name + ".log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        registries.add(process);
        Instant end = Instant.now().plusSeconds(15);
        while (!accepts(port)) {
            if (!process.isAlive() || Instant.now().isAfter(end)) {
                throw new IllegalStateException("the image registry does not start: " + Files.readString(log));
            }
            pause();
        }
    }

    private static boolean accepts(int port) {
        try (Socket _ = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static void pause() {
        try {
            Thread.sleep(50);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private void push(String image, int port, String path) {
        podman(
                "push",
                "--quiet",
                "--creds",
                "puller:s3cret",
                "--tls-verify=false",
                image,
                "127.0.0.1:" + port + "/" + path);
    }

    /** Runs podman's CLI as podman's user. */
    String podman(String... arguments) {
        List<String> command = new ArrayList<>(List.of("run", "podman"));
        command.addAll(List.of(arguments));
        return script("rootless-podman-env", command.toArray(String[]::new));
    }

    private String script(String name, String... arguments) {
        List<String> command = new ArrayList<>(List.of(SCRIPTS.resolve(name).toString()));
        command.addAll(List.of(arguments));
        try {
            Path errors = Files.createTempFile("metacircular", ".err");
            try {
                Process process = new ProcessBuilder(command)
                        .redirectError(errors.toFile())
                        .start();
                process.getOutputStream().close();
                String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                if (!process.waitFor(COMMAND.toSeconds(), TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                    throw new IllegalStateException(command + " does not end");
                }
                if (process.exitValue() != 0) {
                    throw new IllegalStateException(command + ": " + Files.readString(errors));
                }
                return output;
            } finally {
                Files.delete(errors);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public Runtime runtime() {
        return runtime;
    }

    @Override
    public Runtime reopened(Name node) {
        return new PodmanRuntime(options());
    }

    @Override
    public Name node() {
        return Name.of(run);
    }

    @Override
    public ImageRef image() {
        return ImageRef.parse("localhost/" + run + ":v1");
    }

    @Override
    public List<String> command(Workload workload) {
        String script = switch (workload) {
            case RUNS -> UNTIL_ASKED;
            case STUBBORN -> "trap '' TERM; echo stubborn; while :; do sleep 1; done";
            case FAILS -> "echo boom >&2; exit 3";
            case TALKS -> "echo one; echo two; echo three >&2; " + UNTIL_ASKED;
            case LONG_LINE -> "head -c 40000 /dev/zero | tr '\\0' x; echo; echo end";
            case TICKS -> "for i in 0 1 2 3 4 5 6 7 8 9; do echo tick; usleep 100000; done";
            case SERVES -> "mkdir /tmp/www; echo ok >/tmp/www/ok; exec httpd -f -p 8080 -h /tmp/www";
            case MUTE -> "exec nc -ll -p 8080 -e sleep 100";
            case REPORTS ->
                "trap 'exit 0' TERM; echo \"greeting=$GREETING secret=$PASSWORD file=$(cat /data/file) user=$(id -u)\"; "
                        + UNTIL_ASKED;
        };
        return List.of("sh", "-c", script);
    }

    @Override
    public ImageRef pullable() {
        return ImageRef.parse("127.0.0.1:" + tlsPort + "/workloads:v1");
    }

    @Override
    public void moveTag() {
        contents++;
        String local = "localhost/" + run + "-content:" + contents;
        script("busybox-image", local, "content=" + contents);
        push(local, tlsPort, "workloads:v1");
    }

    @Override
    public ImageRef absent() {
        return ImageRef.parse("127.0.0.1:" + tlsPort + "/absent:v1");
    }

    @Override
    public ImageRef denied() {
        return ImageRef.parse("localhost:" + tlsPort + "/workloads:v1");
    }

    @Override
    public int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What of this run podman still has, one a line; empty when everything was removed. */
    String leftovers() {
        return podman("ps", "-aq", "--filter", "label=" + Labels.NODE + "=" + run)
                + podman("network", "ls", "-q", "--filter", "label=" + Labels.NODE + "=" + run)
                + podman("secret", "ls", "--format", "{{.Name}}")
                        .lines()
                        .filter(name -> name.startsWith(Secrets.prefix(node())))
                        .toList()
                        .toString()
                        .replace("[]", "");
    }

    @Override
    public void close() {
        runtime.close();
        registries.forEach(Process::destroy);
        removeAll(podman("ps", "-aq", "--filter", "label=" + Labels.NODE + "=" + run), "rm", "-f", "-t", "0");
        removeAll(podman("network", "ls", "-q", "--filter", "label=" + Labels.NODE + "=" + run), "network", "rm");
        String images = podman("images", "--format", "{{.Repository}}:{{.Tag}} {{.Id}}")
                .lines()
                .filter(line -> line.contains(run)
                        || line.contains(":" + tlsPort + "/")
                        || line.contains(":" + plainPort + "/"))
                .map(line -> line.substring(0, line.indexOf(' ')))
                .distinct()
                .reduce("", (all, one) -> all + one + "\n");
        removeAll(images, "rmi", "-f");
        for (String host : List.of("127.0.0.1:" + tlsPort, "localhost:" + tlsPort)) {
            delete(home.resolve(".config/containers/certs.d").resolve(host));
        }
        delete(folder);
    }

    private void removeAll(String lines, String... command) {
        List<String> all = new ArrayList<>(List.of(command));
        lines.lines().filter(l -> !l.isBlank()).forEach(all::add);
        if (all.size() > command.length) {
            podman(all.toArray(String[]::new));
        }
    }

    private static void delete(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> paths = Files.walk(folder)) {
            for (Path path : paths.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
