package dev.metacircular.ukernel;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.ReentrantLock;
import java.util.random.RandomGenerator;
import java.util.zip.CRC32;

/**
 * A client of the worker's protocol ({@code examples/worker/README.md}) that knows the answer to every job it sends.
 *
 * @param port of 127.0.0.1
 * @param connecting who connects while others do holds it
 */
record JobClient(int port, ReentrantLock connecting) {
    private static final Duration ANSWER_TIME = Duration.ofSeconds(60);
    private static final int CONNECTION_JOBS_MAX = 2_000;

    JobClient(int port) {
        this(port, new ReentrantLock());
    }

    /** Jobs sent and answered rightly. A wrong or missing answer is an exception. */
    record Tally(long sent, long answered) {
        Tally plus(Tally other) {
            return new Tally(sent + other.sent, answered + other.answered);
        }
    }

    private record Job(String line, String answer) {}

    /** Sends the text, then no more, and gives all that is answered. */
    List<String> ask(String text) throws IOException {
        try (Socket socket = connect()) {
            socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
            socket.shutdownOutput();
            return reader(socket).lines().toList();
        } catch (UncheckedIOException e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    /** A number of the worker's answer to {@code stats}. */
    long stat(String name) throws IOException {
        String answer = ask("stats\n").getFirst();
        for (String word : answer.split(" ")) {
            if (word.startsWith(name + "=")) {
                return Long.parseLong(word.substring(name.length() + 1));
            }
        }
        throw new IOException("no " + name + " in '" + answer + "'");
    }

    /** Keeps the worker busy by so many connections, each with jobs of its own under way, and each made anew now and then. */
    Tally load(int connections, Duration time) throws Exception {
        long end = System.nanoTime() + time.toNanos();
        List<Callable<Tally>> loads = new ArrayList<>();
        for (int i = 0; i < connections; i++) {
            RandomGenerator random = RandomGenerator.of("L64X128MixRandom");
            loads.add(() -> {
                Tally tally = new Tally(0, 0);
                while (System.nanoTime() < end) {
                    tally = tally.plus(session(random, end));
                }
                return tally;
            });
        }
        try (ExecutorService tasks = Executors.newVirtualThreadPerTaskExecutor()) {
            Tally all = new Tally(0, 0);
            for (Future<Tally> tally : tasks.invokeAll(loads)) {
                all = all.plus(tally.get());
            }
            return all;
        }
    }

    private Tally session(RandomGenerator random, long end) throws IOException {
        int jobs = random.nextInt(2, CONNECTION_JOBS_MAX);
        int window = random.nextInt(1, 24);
        long sent = 0;
        long answered = 0;
        Queue<Job> underWay = new ArrayDeque<>();
        try (Socket socket = new Socket()) {
            BufferedReader answers;
            // QEMU's user-mode network lets one connection wait: of several that come at once Linux loses some for
            // minutes.
            connecting.lock();
            try {
                open(socket);
                answers = reader(socket);
                Job first = job(random);
                socket.getOutputStream().write((first.line() + "\n").getBytes(StandardCharsets.US_ASCII));
                expect(answers, first);
                sent++;
                answered++;
            } finally {
                connecting.unlock();
            }
            OutputStream out = socket.getOutputStream();
            while (sent < jobs && System.nanoTime() < end) {
                StringBuilder batch = new StringBuilder();
                while (underWay.size() < window && sent < jobs) {
                    Job job = job(random);
                    batch.append(job.line()).append('\n');
                    underWay.add(job);
                    sent++;
                }
                out.write(batch.toString().getBytes(StandardCharsets.US_ASCII));
                for (int i = random.nextInt(1, window + 1); i > 0 && !underWay.isEmpty(); i--) {
                    expect(answers, underWay.remove());
                    answered++;
                }
            }
            socket.shutdownOutput();
            while (!underWay.isEmpty()) {
                expect(answers, underWay.remove());
                answered++;
            }
            String more = answers.readLine();
            if (more != null) {
                throw new IOException("an answer to nothing: '" + more + "'");
            }
        }
        return new Tally(sent, answered);
    }

    private static void expect(BufferedReader answers, Job job) throws IOException {
        String answer = answers.readLine();
        if (!job.answer().equals(answer)) {
            throw new IOException("'%s' was answered '%s', not '%s'".formatted(job.line(), answer, job.answer()));
        }
    }

    /** Mostly short, now and then long, so that answers overtake each other between the tasks; some are malformed. */
    private static Job job(RandomGenerator random) {
        int kind = random.nextInt(100);
        if (kind == 0) {
            return new Job("primes 10000", "ok 1229");
        }
        if (kind == 1) {
            return new Job("primes x", "error primes takes a number from 0 to 200000");
        }
        String text = Long.toString(random.nextLong()).repeat(kind < 4 ? 40 : 1);
        CRC32 crc = new CRC32();
        crc.update(text.getBytes(StandardCharsets.US_ASCII));
        return new Job("crc32 " + text, "ok %08x".formatted(crc.getValue()));
    }

    Socket connect() throws IOException {
        Socket socket = new Socket();
        open(socket);
        return socket;
    }

    private void open(Socket socket) throws IOException {
        socket.setSoTimeout((int) ANSWER_TIME.toMillis());
        socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), (int) ANSWER_TIME.toMillis());
    }

    static BufferedReader reader(Socket socket) throws IOException {
        return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
    }
}
