package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One rule a case: a single line is put into a definition that is otherwise sound, and has this one fault. */
class ComponentRulesTest {
    private static final String HEAD =
            "name = \"shop\"\nnode = \"alpha\"\n[[components]]\nname = \"web\"\nimage = \"localhost/x\"\n";

    private static List<String> faults(String lines) {
        return DefinitionReaderTest.read(HEAD + lines.replace('|', '\n')).faults().stream()
                .map(f -> f.line() + ":" + f.column() + " " + f.message())
                .toList();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '§', quoteCharacter = '`', textBlock = """
        runtime = "vm"                                 § 6:1 'runtime' is 'vm': expected "container" or "unikernel"
        kernel = "ukernel"                             § 6:1 key 'kernel', which the runtime "container" does not know: expected no such key, or runtime = "unikernel"
        runtime = "unikernel"|cpus = 1                 § 7:1 key 'cpus', which the runtime "unikernel" does not know: expected 'vcpus'
        runtime = "unikernel"|user = "1"               § 7:1 key 'user', which the runtime "unikernel" does not know: expected no such key: a unikernel has no users
        runtime = "unikernel"|vcpus = 33               § 7:1 'vcpus' is 33: expected an integer from 1 to 32
        runtime = "unikernel"|kernel = "linux"         § 7:1 'kernel' is 'linux': expected "ukernel" or "nanos"
        runtime = "unikernel"|health.cmd = ["x"]       § 7:1 key 'cmd', which the runtime "unikernel" does not know here: expected 'http' or 'tcp': nothing can be run inside a unikernel
        network = "My_Net"                             § 6:1 'network' is 'My_Net': expected 1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit
        user = "a:b:c"                                 § 6:1 'user' is 'a:b:c': expected user[:group], each a name or a number from 0 to 4294967294
        user = "4294967295"                            § 6:1 'user' is '4294967295': expected user[:group], each a name or a number from 0 to 4294967294
        user = ""                                      § 6:1 'user' is '': expected user[:group], each a name or a number from 0 to 4294967294
        user = 1000                                    § 6:1 'user' is the integer 1000: expected a string
        restart = "on-failure:0"                       § 6:1 'restart' is 'on-failure:0': expected no, on-failure[:n], always or unless-stopped
        restart = false                                § 6:1 'restart' is false: expected a string
        ports = "80:80"                                § 6:1 'ports' is the string '80:80': expected an array of strings
        ports = [8080]                                 § 6:10 'ports' holds the integer 8080: expected strings only
        ports = ["[:::]:80:80"]                        § 6:10 'ports' is '[:::]:80:80': expected [address:]host:guest[/tcp|/udp] with ports 1 to 65535, such as 127.0.0.1:18080:8080
        ports = ["80:80", "127.0.0.1:80:81"]           § 6:19 port '127.0.0.1:80:81', which conflicts with '0.0.0.0:80:80' on line 6: expected each of the node's ports once
        volumes = ["../x:/x"]                          § 6:12 'volumes' is '../x:/x': expected source:target[:ro] with an absolute target and no '..', such as data:/data
        volumes = ["x:/"]                              § 6:12 'volumes' is 'x:/': expected source:target[:ro] with an absolute target and no '..', such as data:/data
        volumes = ["x:/d", "y:/d/"]                    § 6:20 a second volume at '/d': expected one volume a target
        volumes = ["x:/d", "x/y:/e:ro"]                § 6:20 volume 'x/y:/e:ro', which lies in that of 'x:/d' on line 6: expected folders side by side, or the outer one read-only (:ro): what can write to it could put a link in the inner one's place
        cmd = "serve"                                  § 6:1 'cmd' is the string 'serve': expected an array of strings
        cmd = ["a\\u0000b"]                            § 6:8 'cmd' holds a NUL character: expected text without one
        env = ["LOG_LEVEL"]                            § 6:8 'env' is 'LOG_LEVEL': expected NAME=VALUE, the name of letters, digits, '_', '-' and '.', not beginning with a digit
        env = ["A=1", "B=2", "A=3"]                    § 6:22 'A' once more, after the one in 'env': expected each variable once
        secrets = ["1X"]                               § 6:12 'secrets' is '1X': expected 1 to 128 of letters, digits and '_', not beginning with a digit
        env = ["A=1"]|secrets = ["A"]                  § 7:12 'A' once more, after the one in 'env': expected each variable once
        memory_mb = 3                                  § 6:1 'memory_mb' is 3: expected an integer from 4 to 1048576
        memory_mb = 256.0                              § 6:1 'memory_mb' is the number 256.0: expected an integer from 4 to 1048576
        cpus = 0                                       § 6:1 'cpus' is 0.0: expected a number from 0.01 to 1024
        cpus = nan                                     § 6:1 'cpus' is NaN: expected a number from 0.01 to 1024
        hold_s = 3601                                  § 6:1 'hold_s' is 3601.0: expected a number from 0 to 3600
        hold_s = 0.0001                                § 6:1 'hold_s' is 0.0001: expected seconds with at most three decimals
        desired = "on"                                 § 6:1 'desired' is 'on': expected "running", "stopped" or "ignore"
        health = {}                                    § 6:1 no key 'http': expected exactly one of http, tcp and cmd
        health = 1                                     § 6:1 'health' is the integer 1: expected a table
        [components.health]|http = "healthz"           § 7:1 'http' is 'healthz': expected port/path, such as 8080/healthz
        [components.health]|http = "65536/"            § 7:1 'http' is '65536/': expected port/path, such as 8080/healthz
        [components.health]|tcp = 0                    § 7:1 'tcp' is 0: expected an integer from 1 to 65535
        [components.health]|tcp = 80|cmd = ["x"]       § 8:1 'cmd' besides 'tcp': expected exactly one of http, tcp and cmd
        [components.health]|cmd = []                   § 7:1 'cmd' without a program: expected a program and its arguments
        [components.health]|tcp = 80|timeout_s = 0     § 8:1 'timeout_s' is 0.0: expected a number from 0.1 to 3600
        [components.health]|tcp = 80|timout_s = 1      § 8:1 unknown key 'timout_s': expected 'timeout_s', the nearest of http, tcp, cmd, timeout_s
        memory_mb =                                    § 6:12 unexpected end of input: expected a value
        hold_s = 1|hold_s = 2                          § 7:1 hold_s was defined before, at line 6, column 1: expected it once
        """)
    void aFaultIsOneErrorAtItsPlace(String lines, String expected) {
        assertThat(faults(lines.stripTrailing())).hasSize(1).first().asString().startsWith(expected.strip());
    }

    @Test
    void namesAndCanonicalNamesFit() {
        String long63 = "x".repeat(63);
        String text = "name = \"shop\"\nnode = \"alpha\"\n[[components]]\nname = \"" + long63
                + "\"\nnetwork = \"mcpnet\"\nimage = \"localhost/x\"\n";

        assertThat(DefinitionReaderTest.read(text).faults()).singleElement().satisfies(f -> {
            assertThat(f.line()).isEqualTo(5);
            assertThat(f.message()).endsWith("of 68 characters: expected at most 63 there");
        });
        assertThat(DefinitionReaderTest.faults(text.replace("network = \"mcpnet\"", "")))
                .isEmpty();
    }

    @Test
    void faultsOfTheServiceItselfHaveTheirPlaces() {
        String text = """
                name = "shop2"
                activ = true
                path = "../shop"
                [build]
                image = 1
                [build.images]
                Shop = "Dockerfile"
                shop = "/Dockerfile"
                [[components]]
                name = "web"
                image = "shop:v1"
                ports = ["18080:80"]
                [[components]]
                name = "web"
                image = "localhost/x"
                ports = ["127.0.0.1:18080:80"]
                """;

        assertThat(DefinitionReaderTest.faults(text))
                .containsExactly(
                        "shop.toml:1:1: 'name' is 'shop2': expected 'shop', the file's name",
                        "shop.toml:1:1: no key 'node': expected 1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit",
                        "shop.toml:2:1: unknown key 'activ': expected 'active', the nearest of name, node, active, path, build, "
                                + "components",
                        "shop.toml:3:1: 'path' is '../shop': expected a relative path without '..'",
                        "shop.toml:5:1: unknown key 'image': expected 'images'",
                        "shop.toml:7:1: image 'Shop': expected the last path segment of a component's image, of a-z, 0-9, '.', "
                                + "'_' and '-'",
                        "shop.toml:8:1: 'shop' is '/Dockerfile': expected a relative path without '..'",
                        "shop.toml:11:1: 'image' is 'shop:v1': expected host[:port]/path[:tag][@sha256:digest], such as "
                                + "registry.example:5000/shop:v1",
                        "shop.toml:14:1: a second component named 'web', after line 10: expected each component's name once",
                        "shop.toml:16:10: port '127.0.0.1:18080:80', which conflicts with '0.0.0.0:18080:80' on line 12: "
                                + "expected each of the node's ports once");
    }

    @Test
    void aServiceHasComponents() {
        assertThat(DefinitionReaderTest.faults("name = \"shop\"\nnode = \"alpha\"\n"))
                .containsExactly("shop.toml:1:1: no key 'components': expected at least one [[components]] table");
        assertThat(DefinitionReaderTest.faults("name = \"shop\"\nnode = \"alpha\"\ncomponents = []\n"))
                .containsExactly("shop.toml:1:1: no key 'components': expected at least one [[components]] table");
        assertThat(DefinitionReaderTest.faults("name = \"shop\"\nnode = \"alpha\"\n[components]\nname = \"web\"\n"))
                .containsExactly("shop.toml:3:1: 'components' is a table: expected an array of tables, [[components]]");
    }

    @Test
    void faultsOfSyntaxAndOfMeaningAreToldTogether() {
        assertThat(faults("memory_mb = \"1\"|cpus = = 2|env = [\"A\"]"))
                .satisfiesExactly(
                        f -> assertThat(f).startsWith("6:1 'memory_mb' is the string '1'"),
                        f -> assertThat(f).isEqualTo("7:8 unexpected '=': expected a value"),
                        f -> assertThat(f).startsWith("8:8 'env' is 'A'"));
    }

    @Test
    void belowABrokenHeaderOnlySyntaxIsTold() {
        assertThat(faults("[components.health|http = \"x\"|tcp = 0"))
                .containsExactly("6:19 unexpected end of line: expected ]");
    }

    @Test
    void whatIsReadIsBounded() {
        assertThat(faults("# " + "x".repeat(1 << 20)))
                .containsExactly("1:1 more than 1048576 bytes: expected a smaller file");
        assertThat(faults("|".repeat(20_001))).containsExactly("1:1 more than 20000 lines: expected a shorter file");
        assertThat(faults("env = [\"A=" + "x".repeat(131_072) + "\"]"))
                .containsExactly("6:8 'env' holds a string of 131074 bytes: expected at most 131071");
        assertThat(faults("[[components]]|name = \"a\"|image = \"localhost/x\"|".repeat(100)))
                .containsExactly("3:1 'components' has 101 tables: expected at most 100");
        assertThat(faults("cmd = [" + "\"x\",".repeat(1_001) + "]"))
                .containsExactly("6:1 'cmd' has 1001 items: expected at most 1000");
        assertThat(faults("x = 1|x = 1|".repeat(200))).hasSize(100);
    }
}
