import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The measurements of {@code bench/monitor}; the first argument names one. Medians. */
public final class Monitor {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final int SERVICES = 20;
    private static final int COMPONENTS = 1_000;
    /** The last quarter's resident memory over the second's, at most. */
    private static final double GROWTH = 1.1;

    public static void main(String[] a) throws Exception {
        switch (a[0]) {
            case "death" -> death(a[1], Path.of(a[2]), Path.of(a[3]), a[4], Integer.parseInt(a[5]));
            case "twenty" -> twenty(a[1], Path.of(a[2]), a[3], Path.of(a[4]), a[5], Integer.parseInt(a[6]));
            case "pass" -> pass(a[1], a[2], Path.of(a[3]));
            case "churn" -> churn(a[1], Path.of(a[2]), Path.of(a[3]), a[4], Long.parseLong(a[5]), Integer.parseInt(a[6]));
            default -> throw new IllegalArgumentException(a[0]);
        }
        System.exit(0);
    }

    /** One component for each round, so that each death is its first, with a delay of one second. */
    private static void death(String mcp, Path operator, Path podman, String image, int rounds) throws Exception {
        StringBuilder file = new StringBuilder("name = \"death\"\nnode = \"alpha\"\n");
        for (int i = 0; i <= rounds; i++) {
            file.append(component("c" + i, image, 27_000 + i));
        }
        Files.writeString(operator.resolve("services/death.toml"), file);
        run(operator, mcp, "deploy", "death");
        Map<String, Instant> noticed = new ConcurrentHashMap<>();
        Process following = start(operator, mcp, "events", "death", "--follow", "--json", "--kind", "exited");
        Thread.startVirtualThread(() -> {
            Pattern form = Pattern.compile("\"time\":\"([^\"]+)\".*\"component\":\"([^\"]+)\"");
            try (BufferedReader lines = new BufferedReader(new InputStreamReader(following.getInputStream(), StandardCharsets.UTF_8))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    Matcher m = form.matcher(line);
                    if (m.find()) {
                        noticed.put(m.group(2), Instant.parse(m.group(1)));
                    }
                }
            } catch (IOException e) {
                System.err.println(e.getMessage());
            }
        });
        List<Double> seen = new ArrayList<>();
        List<Double> again = new ArrayList<>();
        for (int i = 0; i <= rounds; i++) {
            Thread.sleep(2_000);
            String name = "death-c" + i;
            Matcher pid = Pattern.compile("\"Pid\":([0-9]+)").matcher(call(podman, "GET", "/v4.0.0/libpod/containers/" + name + "/json", ""));
            if (!pid.find()) {
                throw new IllegalStateException(name + " does not run");
            }
            Instant killed = Instant.now();
            run(operator, "sh", "-c", "kill -9 " + pid.group(1));
            // The dead one's port is gone only some time later.
            while (answers(27_000 + i)) {
                Thread.sleep(1);
            }
            awaitAnswer(27_000 + i);
            double serving = millis(killed, Instant.now());
            awaitKey(noticed, "c" + i);
            double notice = millis(killed, noticed.get("c" + i));
            if (i > 0) {
                seen.add(notice);
                again.add(serving);
                System.out.printf("round %2d: on record after %6.1f, serving again after %7.1f ms%n", i, notice, serving);
            }
        }
        following.destroy();
        run(operator, mcp, "stop", "death");
        run(operator, mcp, "purge", "death");
        Files.delete(operator.resolve("services/death.toml"));
        System.out.printf("%-56s %8.1f ms (promise: at most 200)%n", "a death is on record after", median(seen));
        System.out.printf("%-56s %8.1f ms (promise: at most 1,500)%n", "serving again, with a delay of 1 s", median(again));
    }

    private static void awaitKey(Map<String, Instant> map, String key) throws InterruptedException {
        long until = System.nanoTime() + LIMIT.toNanos();
        while (!map.containsKey(key)) {
            if (System.nanoTime() > until) {
                throw new IllegalStateException("no event about " + key);
            }
            Thread.sleep(5);
        }
    }

    /**
     * Beside each round of services: podman runs on podman's default network, podman runs on a network of their own each, as services have
     * it, and the same calls of podman's API without an agent, all at once: what no agent can undercut.
     */
    private static void twenty(String mcp, Path operator, String podmanEnv, Path podman, String image, int rounds) throws Exception {
        Map<String, List<Double>> times = new LinkedHashMap<>();
        for (int round = 0; round <= rounds; round++) {
            int first = 20_000 + round * 100;
            Map<String, Double> took = new LinkedHashMap<>();
            took.put(BARE, podmanRuns(operator, podmanEnv, image, first, false));
            took.put(ALIKE, podmanRuns(operator, podmanEnv, image, first + 20, true));
            calls(podman, image, first + 40, took);
            List<String> names = new ArrayList<>();
            for (int i = 0; i < SERVICES; i++) {
                String name = "t" + i;
                names.add(name);
                Files.writeString(
                        operator.resolve("services/" + name + ".toml"),
                        "name = \"" + name + "\"\nnode = \"alpha\"\n" + component("web", image, first + 60 + i));
            }
            Instant begun = Instant.now();
            Process deploy = start(operator, with(names, mcp, "deploy"));
            try {
                for (int i = 0; i < SERVICES; i++) {
                    awaitAnswer(first + 60 + i);
                }
            } catch (IOException e) {
                throw new IOException(e.getMessage() + "; the deploy said: " + end(deploy), e);
            }
            took.put(OURS, millis(begun, Instant.now()));
            end(deploy);
            Instant ending = Instant.now();
            run(operator, with(names, mcp, "stop"));
            run(operator, with(names, mcp, "purge"));
            took.put(GONE, millis(ending, Instant.now()));
            if (round > 0) {
                took.forEach((what, millis) -> times.computeIfAbsent(what, _ -> new ArrayList<>()).add(millis));
                System.out.printf("round %2d: %s%n", round, took.values().stream().map(t -> "%,.0f".formatted(t)).toList());
            }
        }
        Map<String, Double> medians = new LinkedHashMap<>();
        times.forEach((what, all) -> medians.put(what, median(all)));
        medians.forEach((what, millis) -> System.out.printf("%-72s %8.0f ms%n", what, millis));
        System.out.printf("%-72s %8.2f (promise: at most 1)%n", "20 services, over 20 podman runs on networks of their own", medians.get(OURS) / medians.get(ALIKE));
        System.out.printf("%-72s %8.2f (the API's own: %.2f)%n", "20 services, over 20 bare podman runs", medians.get(OURS) / medians.get(BARE), medians.get(FLOOR) / medians.get(BARE));
        System.out.printf("%-72s %8.2f%n", "20 services, over the same calls of podman's API", medians.get(OURS) / medians.get(FLOOR));
        System.out.printf("%-72s %8.2f%n", "20 services stopped and gone, over the same calls of podman's API", medians.get(GONE) / medians.get(FLOOR_GONE));
    }

    private static final String BARE = "20 podman runs side by side on podman's default network, ports answer";
    private static final String ALIKE = "20 podman runs side by side on a network of their own each";
    private static final String FLOOR = "podman's API: 20 networks and containers made and started at once";
    private static final String FLOOR_GONE = "podman's API: 20 containers stopped, then removed with their networks";
    private static final String OURS = "20 services by mcp deploy, ports answer";
    private static final String GONE = "20 services stopped and gone (promise: at most 5,000)";

    /** @param ownNetworks whether each has a network of its own with podman's resolver on it, as a service has */
    private static double podmanRuns(Path operator, String podmanEnv, String image, int first, boolean ownNetworks) throws Exception {
        StringBuilder script = new StringBuilder();
        for (int i = 0; i < SERVICES; i++) {
            String network = ownNetworks ? "bench-monitor-" + i : "slirp4netns";
            script.append("(");
            if (ownNetworks) {
                script.append("podman network create --label bench=monitor ").append(network).append(" >/dev/null && ");
            }
            script.append("podman run -d --label bench=monitor --network ").append(network).append(" -p 127.0.0.1:").append(first + i)
                    .append(":8080 --log-driver k8s-file ").append(image).append(" web >/dev/null) & ");
        }
        Instant begun = Instant.now();
        Process runs = start(operator, podmanEnv, "run", "sh", "-c", script + "wait");
        for (int i = 0; i < SERVICES; i++) {
            awaitAnswer(first + i);
        }
        double took = millis(begun, Instant.now());
        end(runs);
        run(operator, podmanEnv, "run", "sh", "-c", "podman ps -aq --filter label=bench=monitor | xargs -r podman rm -f -t 0"
                + "; podman network ls -q --filter label=bench=monitor | xargs -r podman network rm");
        return took;
    }

    /** What the agent asks podman for at least, with nothing before, between and after. */
    private static void calls(Path podman, String image, int first, Map<String, Double> took) throws Exception {
        Instant begun = Instant.now();
        List<Thread> making = atOnce(i -> {
            String name = "bench-monitor-" + i;
            change(podman, "POST", "/networks/create", "{\"name\":\"%s\",\"driver\":\"bridge\",\"dns_enabled\":true,\"labels\":{\"bench\":\"monitor\"}}".formatted(name));
            change(podman, "POST", "/containers/create", """
                    {"name":"%s","image":"%s","command":["web"],"labels":{"bench":"monitor"},"log_configuration":{"driver":"k8s-file"},"netns":{"nsmode":"bridge"},\
                    "Networks":{"%s":{"aliases":["web"]}},"portmappings":[{"host_ip":"127.0.0.1","host_port":%d,"container_port":8080,"protocol":"tcp"}]}"""
                    .formatted(name, image, name, first + i));
            change(podman, "POST", "/containers/" + name + "/start", "");
        });
        for (int i = 0; i < SERVICES; i++) {
            awaitAnswer(first + i);
        }
        took.put(FLOOR, millis(begun, Instant.now()));
        join(making);
        Instant ending = Instant.now();
        join(atOnce(i -> change(podman, "POST", "/containers/bench-monitor-" + i + "/stop?timeout=10", "")));
        join(atOnce(i -> {
            change(podman, "DELETE", "/containers/bench-monitor-" + i + "?force=true&v=true&timeout=0", "");
            change(podman, "DELETE", "/networks/bench-monitor-" + i, "");
        }));
        took.put(FLOOR_GONE, millis(ending, Instant.now()));
    }

    private interface Work {
        void of(int i) throws IOException;
    }

    private static List<Thread> atOnce(Work work) {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < SERVICES; i++) {
            int number = i;
            threads.add(Thread.ofPlatform().start(() -> {
                try {
                    work.of(number);
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            }));
        }
        return threads;
    }

    private static void join(List<Thread> threads) throws InterruptedException {
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static void change(Path podman, String method, String path, String body) throws IOException {
        String answer = call(podman, method, "/v4.0.0/libpod" + path, body);
        if (!answer.startsWith("HTTP/1.1 2")) {
            throw new IOException(method + " " + path + ": " + answer);
        }
    }

    /** An agent over a podman of this program's own, which tells 1,000 running containers: CPU of the whole agent for each look. */
    private static void pass(String mcp, String agentProgram, Path directory) throws Exception {
        Path operator = Files.createDirectories(directory.resolve("operator/services")).getParent();
        Path socket = directory.resolve("podman/podman.sock");
        Files.createDirectories(socket.getParent());
        ListedPodman podman = new ListedPodman(socket);
        Files.writeString(directory.resolve("agent/agent.toml"), "\n[podman]\nsocket = \"" + socket + "\"\n", StandardOpenOption.APPEND);
        String address = Files.readAllLines(directory.resolve("agent/agent.toml")).stream()
                .filter(l -> l.startsWith("listen")).findFirst().orElseThrow().replaceAll(".*\"(.*)\".*", "$1");
        Process agent = startAgent(agentProgram, directory);
        // Also where this fails.
        java.lang.Runtime.getRuntime().addShutdownHook(new Thread(agent::destroy));
        run(operator, mcp, "node", "add", "thousand", address, "--ca", directory.resolve("agent/ca.pem").toString(), "--token-file", directory.resolve("token").toString());
        StringBuilder containers = new StringBuilder("[");
        List<String> names = new ArrayList<>();
        for (int s = 0; s < 20; s++) {
            StringBuilder file = new StringBuilder("name = \"s" + s + "\"\nnode = \"thousand\"\n");
            for (int c = 0; c < COMPONENTS / 20; c++) {
                file.append("\n[[components]]\nname = \"c" + c + "\"\nimage = \"registry.example:5000/app:v1\"\nports = [\"127.0.0.1:" + (1_024 + s * 100 + c) + ":8080\"]\ndesired = \"ignore\"\n");
                containers.append(containers.length() == 1 ? "" : ",").append(ListedPodman.container(s, c));
            }
            Files.writeString(operator.resolve("services/s" + s + ".toml"), file);
            names.add("s" + s);
        }
        run(operator, with(names, mcp, "deploy"));
        podman.list(containers.append("]").toString());
        // Desired running from now on; each is found running already.
        for (String name : names) {
            Path file = operator.resolve("services/" + name + ".toml");
            Files.writeString(file, Files.readString(file).replace("desired = \"ignore\"\n", ""));
        }
        run(operator, mcp, "sync");
        double same = look(agent.pid(), podman);
        // From now on one of them differs at each look, as it does where something goes on.
        podman.list(containers.toString(), containers.toString().replaceFirst("x\"}]$", "y\"}]"));
        double changing = look(agent.pid(), podman);
        String status = out(operator, mcp, "status", "--json");
        long running = Pattern.compile("\"observed\":\"running\"").matcher(status).results().count();
        agent.destroy();
        if (running != COMPONENTS) {
            throw new IllegalStateException(running + " of 1,000 components are seen running");
        }
        System.out.printf("%-72s %8.1f ms of CPU (promise: at most 50)%n", "a look at 1,000 components, the whole agent", same);
        System.out.printf("%-72s %8.1f ms of CPU (promise: at most 50)%n", "the same where one container has changed since the look before", changing);
    }

    /** Milliseconds of CPU for each look, over half a minute and more. */
    private static double look(long agent, ListedPodman podman) throws Exception {
        int warm = podman.listed();
        while (podman.listed() < warm + 10) {
            Thread.sleep(100);
        }
        long cpu = cpuTicks(agent);
        int before = podman.listed();
        Thread.sleep(40_000);
        return (cpuTicks(agent) - cpu) * 10.0 / (podman.listed() - before);
    }

    private static Process startAgent(String program, Path directory) throws Exception {
        Path log = directory.resolve("agent.log");
        Process agent = new ProcessBuilder(program, "run", "--dir", directory.resolve("agent").toString())
                .redirectErrorStream(true).redirectOutput(log.toFile()).start();
        long until = System.nanoTime() + LIMIT.toNanos();
        while (!Files.readString(log).contains("ready:")) {
            if (System.nanoTime() > until || !agent.isAlive()) {
                throw new IllegalStateException(Files.readString(log));
            }
            Thread.sleep(50);
        }
        return agent;
    }

    /** User and system time in ticks of 10 ms (proc(5)). */
    private static long cpuTicks(long pid) throws IOException {
        String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return Long.parseLong(fields[11]) + Long.parseLong(fields[12]);
    }

    /** Deploys, crashes, restarts, stops and asks for so long; fails if the agent's resident memory grows. */
    private static void churn(String mcp, Path operator, Path podman, String image, long agent, int seconds) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        List<Double> resident = new ArrayList<>();
        int turns = 0;
        int failures = 0;
        while (System.nanoTime() < end) {
            StringBuilder file = new StringBuilder("name = \"churn\"\nnode = \"alpha\"\n");
            for (int i = 0; i < 3; i++) {
                file.append(component("c" + i, image, 27_500 + i)).append("env = [\"TURN=" + turns + "\"]\n");
            }
            String text = file.toString().replaceAll("(?m)^(\\[components.health\\]\\ntcp = 8080\\n)(env = .*\\n)", "$2$1");
            Files.writeString(operator.resolve("services/churn.toml"), text);
            List<String[]> doing = new ArrayList<>(List.of(
                    new String[] {mcp, "deploy", "churn"}, new String[] {}, new String[] {mcp, "restart", "churn/c1"}, new String[] {mcp, "status"},
                    new String[] {mcp, "events", "--tail", "100"}, new String[] {mcp, "logs", "churn"}));
            if (turns % 5 == 4) {
                doing.addAll(List.of(new String[] {mcp, "stop", "churn"}, new String[] {mcp, "purge", "churn"}));
            }
            for (String[] command : doing) {
                try {
                    if (command.length == 0) {
                        change(podman, "POST", "/containers/churn-c0/kill?signal=KILL", "");
                    } else {
                        run(operator, command);
                    }
                } catch (IllegalStateException | IOException e) {
                    // A busy machine answers late now and then; the churn goes on.
                    failures++;
                    System.out.println("turn " + turns + ": " + String.join(" ", command) + ": " + e.getMessage());
                }
            }
            turns++;
            resident.add(residentMiB(agent));
            if (turns % 10 == 0) {
                System.out.printf("turn %4d: %6.1f MiB resident, %d threads%n", turns, resident.getLast(), threads(agent));
            }
        }
        if (turns % 5 != 0) {
            run(operator, mcp, "stop", "churn");
            run(operator, mcp, "purge", "churn");
        }
        Files.delete(operator.resolve("services/churn.toml"));
        int part = Math.max(1, resident.size() / 4);
        double early = median(resident.subList(part, Math.min(resident.size(), 2 * part)));
        double late = median(resident.subList(resident.size() - part, resident.size()));
        System.out.printf("%-56s %8.1f MiB in the second quarter, %.1f in the last (promise: at most a tenth more), %d turns in %d s, %d steps failed%n", "the agent's resident memory", early, late, turns, seconds, failures);
        if (failures > turns / 5) {
            throw new IllegalStateException("more than one turn in five went wrong");
        }
        if (late > GROWTH * early) {
            throw new IllegalStateException("the agent's resident memory grows");
        }
    }

    private static int threads(long pid) throws IOException {
        try (Stream<Path> tasks = Files.list(Path.of("/proc/" + pid + "/task"))) {
            return (int) tasks.count();
        }
    }

    private static double residentMiB(long pid) throws IOException {
        return Files.readAllLines(Path.of("/proc/" + pid + "/status")).stream()
                .filter(l -> l.startsWith("VmRSS:"))
                .mapToDouble(l -> Double.parseDouble(l.replaceAll("[^0-9]", "")) / 1_024)
                .findFirst().orElseThrow();
    }

    private static String component(String name, String image, int port) {
        return "\n[[components]]\nname = \"" + name + "\"\nimage = \"" + image + "\"\ncmd = [\"web\"]\nports = [\"127.0.0.1:" + port
                + ":8080\"]\n[components.health]\ntcp = 8080\n";
    }

    private static double median(List<Double> values) {
        List<Double> sorted = new ArrayList<>(values);
        Collections.sort(sorted);
        int n = sorted.size();
        return n % 2 == 1 ? sorted.get(n / 2) : (sorted.get(n / 2 - 1) + sorted.get(n / 2)) / 2;
    }

    private static double millis(Instant from, Instant to) {
        return Duration.between(from, to).toNanos() / 1e6;
    }

    private static boolean answers(int port) {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress("127.0.0.1", port), 500);
            socket.setSoTimeout(1_000);
            socket.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            return socket.getInputStream().read() == 'H';
        } catch (IOException notYet) {
            return false;
        }
    }

    private static void awaitAnswer(int port) throws Exception {
        long until = System.nanoTime() + LIMIT.toNanos();
        while (!answers(port)) {
            if (System.nanoTime() > until) {
                throw new IOException("port " + port + " does not answer");
            }
            Thread.sleep(2);
        }
    }

    private static String call(Path podman, String method, String path, String body) throws IOException {
        String head = "%s %s HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s".formatted(method, path, body.length(), body);
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(podman));
            channel.write(ByteBuffer.wrap(head.getBytes(StandardCharsets.UTF_8)));
            ByteArrayOutputStream answer = new ByteArrayOutputStream();
            ByteBuffer buffer = ByteBuffer.allocate(8_192);
            while (channel.read(buffer) >= 0) {
                answer.write(buffer.array(), 0, buffer.position());
                buffer.clear();
            }
            return answer.toString(StandardCharsets.UTF_8);
        }
    }

    private static String[] with(List<String> last, String... first) {
        List<String> all = new ArrayList<>(List.of(first));
        all.addAll(last);
        return all.toArray(String[]::new);
    }

    private static void run(Path operator, String... command) throws Exception {
        end(start(operator, command));
    }

    private static String out(Path operator, String... command) throws Exception {
        return end(start(operator, command));
    }

    private static Process start(Path operator, String... command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("MCP_CONFIG", operator.toString());
        return builder.start();
    }

    private static String end(Process process) throws Exception {
        String output;
        try (InputStream in = process.getInputStream()) {
            output = new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
        if (process.waitFor() != 0) {
            throw new IllegalStateException("exit " + process.exitValue() + ": " + output);
        }
        return output;
    }
}
