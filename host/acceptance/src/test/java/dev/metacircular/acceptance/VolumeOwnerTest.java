package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Whoever a component runs as can write to its volumes. */
@Timeout(300)
final class VolumeOwnerTest {
    private static final String WRITES = """
            echo written >/data/file || exit 9
            trap exit TERM; sleep 1000 & wait""";

    private static Node node;
    private static String root;
    private static String named;

    @BeforeAll
    static void setUp() {
        root = TestImages.make("acceptance-owner", "v1", WRITES, "passwd=app:x:1234:2345::/:/bin/sh");
        named = TestImages.runningAs("app", root);
        node = Node.started("alpha");
    }

    @AfterAll
    static void tearDown() {
        node.close();
        TestImages.remove(named, root);
    }

    private static String component(String name, String image, String user) {
        return """
                [[components]]
                name = "%s"
                image = "%s"
                %s
                %s
                volumes = ["%s:/data"]
                hold_s = 0.5
                """.formatted(name, image, TestImages.COMMAND, user, name);
    }

    @Test
    void aFreshFolderIsTheComponentUsersWhicheverWayThatIsNamed() {
        node.define(
                "owner",
                component("image", named, "")
                        + component("number", root, "user = \"77:88\"")
                        + component("root", root, ""));
        node.mcp("deploy", "owner").ok();
        for (String expected : List.of("image 1234:2345", "number 77:88", "root 0:0")) {
            String component = expected.split(" ")[0];
            assertThat(node.mcp("exec", "owner/" + component, "--", "stat", "-c", "%u:%g %n", "/data", "/data/file")
                            .ok()
                            .out())
                    .contains(expected.split(" ")[1] + " /data\n", expected.split(" ")[1] + " /data/file");
        }
        assertThat(node.mcp("restart", "owner").exit()).isZero();
    }
}
