package dev.metacircular.acceptance;

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

    /** Makes {@code localhost/<name>:<version>} and returns its reference. */
    static String make(String name, String version, String script) {
        String reference = "localhost/" + name + ":" + version;
        Shell.run(
                        Map.of(),
                        Shell.HOME.resolve("host/scripts/busybox-image").toString(),
                        reference,
                        "version=" + version,
                        "run=" + script)
                .ok();
        return reference;
    }

    static void remove(String... references) {
        for (String reference : references) {
            Shell.podman("rmi", "-f", reference);
        }
    }
}
