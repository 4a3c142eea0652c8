package dev.metacircular.acceptance;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Images of the node's own, each a static busybox with a script that a component runs. */
final class TestImages {
    /** Serves its version over HTTP on port 8080, in the foreground, and ends on SIGTERM. */
    static final String SERVES = """
            trap 'kill $!; exit 0' TERM
            mkdir -p /www && cp /etc/version /www/index.html
            httpd -f -p 8080 -h /www & echo "version $(cat /etc/version) serves"
            wait""";

    /** The component's command. */
    static final String COMMAND = "cmd = [\"/bin/sh\", \"/etc/run\"]";

    private TestImages() {}

    /**
     * Makes {@code localhost/<name>:<version>} and returns its reference.
     *
     * @param files more of them in {@code /etc}, {@code NAME=TEXT} each
     */
    static String make(String name, String version, String script, String... files) {
        String reference = "localhost/" + name + ":" + version;
        List<String> command = new ArrayList<>(List.of(
                Shell.HOME.resolve("host/scripts/busybox-image").toString(),
                reference,
                "version=" + version,
                "run=" + script));
        command.addAll(List.of(files));
        Shell.run(Map.of(), command.toArray(String[]::new)).ok();
        return reference;
    }

    /** The image with a user of its own, as {@code USER} of a Dockerfile has it. */
    static String runningAs(String user, String base) {
        String reference = base + "-" + user;
        String container = "acceptance-as-" + user;
        Shell.podman("create", "--replace", "--name", container, base).ok();
        Shell.podman("commit", "--quiet", "--change", "USER " + user, container, reference)
                .ok();
        Shell.podman("rm", container).ok();
        return reference;
    }

    static void remove(String... references) {
        for (String reference : references) {
            Shell.podman("rmi", "-f", reference);
        }
    }
}
