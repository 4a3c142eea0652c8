import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Whole-process times of the CLI, interleaved with podman's, which runs as its own user (what changing to it costs stands in a row of its own). Minima are what the machine can do, medians what it
 * did.
 *
 * <p>Arguments: mcp, the program that runs podman as the rootless user, rounds. Exit status 1 if a promise is not kept.
 */
public final class Cli {
    private static final Map<String, Double> PROMISED_MS = Map.of("mcp --version", 130.0, "mcp ps", 230.0);

    public static void main(String[] arguments) throws Exception {
        String mcp = arguments[0];
        int rounds = Integer.parseInt(arguments[2]);
        Map<String, List<String>> commands = new LinkedHashMap<>();
        commands.put("mcp --version", List.of(mcp, "--version"));
        commands.put("mcp ps", List.of(mcp, "ps"));
        commands.put("mcp ps --json", List.of(mcp, "ps", "--json"));
        commands.put("podman ps", List.of(arguments[1], "run", "podman", "ps"));
        commands.put("true, as podman's", List.of(arguments[1], "run", "true"));
        Map<String, List<Double>> times = new LinkedHashMap<>();
        commands.keySet().forEach(name -> times.put(name, new ArrayList<>()));
        for (int round = -2; round < rounds; round++) {
            for (Map.Entry<String, List<String>> command : commands.entrySet()) {
                double ms = time(command.getValue());
                if (round >= 0) {
                    times.get(command.getKey()).add(ms);
                }
            }
        }
        double podman = Collections.min(times.get("podman ps"));
        boolean kept = true;
        System.out.printf("%-18s %10s %10s %22s %10s%n", "", "minimum", "median", "minimum over podman's", "promised");
        for (Map.Entry<String, List<Double>> entry : times.entrySet()) {
            double minimum = Collections.min(entry.getValue());
            Double promised = PROMISED_MS.get(entry.getKey());
            boolean broken = promised != null && minimum > promised;
            kept &= !broken;
            System.out.printf(
                    "%-18s %7.1f ms %7.1f ms %22.1f %10s%n",
                    entry.getKey(),
                    minimum,
                    median(entry.getValue()),
                    minimum / podman,
                    promised == null ? "" : Math.round(promised) + " ms" + (broken ? ", not kept" : ""));
        }
        System.exit(kept ? 0 : 1);
    }

    private static double time(List<String> command) throws IOException, InterruptedException {
        long begin = System.nanoTime();
        int status = new ProcessBuilder(command)
                .redirectOutput(Redirect.DISCARD)
                .redirectError(Redirect.INHERIT)
                .start()
                .waitFor();
        double ms = (System.nanoTime() - begin) / 1e6;
        if (status != 0) {
            throw new IllegalStateException(command + " ended with " + status);
        }
        return ms;
    }

    private static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        int middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    }
}
