package dev.metacircular.vm;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the real Firecracker answered: the general exchanges of {@code firecracker-api.txt}. */
final class FirecrackerRecording {
    /** When an exchange was recorded. */
    enum Phase {
        BEFORE_BOOT,
        CONFIGURING,
        AFTER_BOOT
    }

    /** A request and its answer; the body is empty where there was none. */
    record Exchange(Phase phase, String method, String path, String body, int code, String answer) {
        boolean matches(String otherMethod, String otherPath, String otherBody) {
            return method.equals(otherMethod) && path.equals(otherPath) && body.equals(otherBody);
        }
    }

    private static final Pattern REQUEST = Pattern.compile(">>> ([A-Z]+) (\\S+) ?(.*)");
    private static final Pattern STATUS = Pattern.compile("HTTP/1\\.1 ([0-9]{3}) .*");

    private FirecrackerRecording() {}

    static List<Exchange> load() {
        try (InputStream in = FirecrackerRecording.class.getResourceAsStream("firecracker-api.txt")) {
            if (in == null) {
                throw new IllegalStateException("firecracker-api.txt is missing");
            }
            return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .toList());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<Exchange> parse(List<String> lines) {
        List<Exchange> exchanges = new ArrayList<>();
        Phase phase = Phase.BEFORE_BOOT;
        Optional<Matcher> request = Optional.empty();
        int code = 0;
        StringBuilder answer = new StringBuilder();
        boolean inBody = false;
        for (String line : lines) {
            Matcher asked = REQUEST.matcher(line);
            Matcher status = STATUS.matcher(line);
            boolean begins = line.startsWith("#") || asked.matches();
            if (begins && request.isPresent() && code > 0) {
                Matcher r = request.get();
                exchanges.add(new Exchange(
                        phase,
                        r.group(1),
                        r.group(2),
                        r.group(3),
                        code,
                        answer.toString().strip()));
                request = Optional.empty();
            }
            if (line.startsWith("#### good")) {
                phase = Phase.CONFIGURING;
            } else if (line.startsWith("#### after boot")) {
                phase = Phase.AFTER_BOOT;
            } else if (line.startsWith("#### restart")) {
                return exchanges;
            } else if (asked.matches()) {
                request = Optional.of(asked);
                code = 0;
                answer.setLength(0);
                inBody = false;
            } else if (status.matches()) {
                code = Integer.parseInt(status.group(1));
            } else if (line.isEmpty()) {
                inBody = true;
            } else if (inBody) {
                answer.append(line).append('\n');
            }
        }
        throw new IllegalStateException("the recording ends early");
    }
}
