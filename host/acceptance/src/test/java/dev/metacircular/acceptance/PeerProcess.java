package dev.metacircular.acceptance;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A {@link FaultyPeer} on a node, before its agent. */
final class PeerProcess implements AutoCloseable {
    private final Process process;
    private final BufferedReader out;
    private final Writer in;

    /** @param prefix a command that runs another one on the node */
    PeerProcess(List<String> prefix, String address, Path pki) {
        try {
            List<String> command = new ArrayList<>(prefix);
            command.addAll(List.of(
                    Path.of(System.getProperty("java.home", ""), "bin/java").toString(),
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-Xmx64m",
                    "-cp",
                    Path.of(FaultyPeer.class
                                    .getProtectionDomain()
                                    .getCodeSource()
                                    .getLocation()
                                    .toURI())
                            .toString(),
                    FaultyPeer.class.getName(),
                    address,
                    pki.toString()));
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            out = process.inputReader(StandardCharsets.US_ASCII);
            in = process.outputWriter(StandardCharsets.US_ASCII);
            expect("listening");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** From now on; connections that are open are cut. */
    void set(FaultyPeer.Mode mode, Object... more) {
        StringBuilder line = new StringBuilder(mode.name());
        for (Object word : more) {
            line.append(' ').append(word);
        }
        try {
            in.write(line + "\n");
            in.flush();
            expect("now " + line);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void expect(String line) throws IOException {
        String said = out.readLine();
        if (!line.equals(said)) {
            throw new AssertionError("the faulty peer said " + said + " instead of " + line);
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
