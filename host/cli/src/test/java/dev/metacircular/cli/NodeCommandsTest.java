package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class NodeCommandsTest {
    @TempDir
    private Path scratch;

    private Operator operator;
    private Path ca;
    private Path token;

    @BeforeEach
    void start() throws IOException {
        operator = new Operator(scratch.resolve("operator"));
        ca = Operator.AUTHORITY.writeCa(scratch.resolve("ca.pem"));
        token = Files.writeString(scratch.resolve("token"), TestAgent.TOKEN + "\n");
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    private Operator.Result add(String name, int port, String... more) {
        String[] fixed = {
            "node", "add", name, "127.0.0.1:" + port, "--ca", ca.toString(), "--token-file", token.toString()
        };
        String[] all = Arrays.copyOf(fixed, fixed.length + more.length);
        System.arraycopy(more, 0, all, fixed.length, more.length);
        return operator.mcp(all);
    }

    private boolean isSaved() {
        return Files.exists(operator.home.resolve("mcp.toml"))
                || Files.exists(operator.home.resolve("alpha-ca.pem"))
                || Files.exists(operator.home.resolve("alpha.token"));
    }

    @Test
    void aNodeThatAnswersIsSavedWithCopiesOfItsCaAndToken() throws IOException {
        Operator.Result result = add("alpha", operator.agent(new ScriptedAgent()));

        assertThat(result)
                .isEqualTo(new Operator.Result(
                        0,
                        "added node alpha at 127.0.0.1:PORT: mcp-agent 0.1.0, token 'admin' with role operator\n",
                        ""));
        assertThat(operator.read("alpha.token")).isEqualTo(TestAgent.TOKEN + "\n");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(operator.home.resolve("alpha.token"))))
                .isEqualTo("rw-------");
        Files.delete(ca);
        Files.delete(token);
        assertThat(operator.mcp("list").exit()).isZero();
        assertThat(operator.mcp("node", "list").out().replaceAll(" +", " ")).isEqualTo("""
                NAME ADDRESS CA TOKEN FILE
                alpha 127.0.0.1:PORT HOME/alpha-ca.pem HOME/alpha.token
                """);
    }

    @Test
    void aNodeThatIsNotReachedIsNotSavedUnlessToldTo() {
        int port = Operator.closedPort();
        Operator.Result result = add("alpha", port);

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.err()).contains("connection refused", "nothing was saved");
        assertThat(isSaved()).isFalse();
        assertThat(add("alpha", port, "--offline").out()).endsWith(", without asking it\n");
        assertThat(isSaved()).isTrue();
    }

    @Test
    void aWrongCaARefusedTokenAndAnotherNodesNameAreToldApart() throws IOException {
        int port = operator.agent(new ScriptedAgent());
        new TestCertificates("Ed25519").writeCa(ca);
        Operator.Result wrongCa = add("alpha", port);
        assertThat(wrongCa.exit()).isEqualTo(3);
        assertThat(wrongCa.err()).contains("was not issued by the CA in");

        Operator.AUTHORITY.writeCa(ca);
        Files.writeString(token, "not-the-token");
        Operator.Result refused = add("alpha", port);
        assertThat(refused.exit()).isEqualTo(4);
        assertThat(refused.err()).contains("is refused").doesNotContain("not-the-token");

        Files.writeString(token, TestAgent.TOKEN);
        Operator.Result other = add("beta", port);
        assertThat(other.exit()).isEqualTo(1);
        assertThat(other.err()).contains("the agent there is of node 'alpha'");
        assertThat(isSaved()).isFalse();
    }

    @Test
    void faultyFilesAndAddressesAreWrongUsage() throws IOException {
        Files.writeString(token, "two words");
        assertThat(add("alpha", 1).exit()).isEqualTo(2);
        Files.writeString(token, TestAgent.TOKEN);
        Files.writeString(ca, "nonsense");
        assertThat(add("alpha", 1).err()).contains("holds no PEM certificate");
        assertThat(operator.mcp(
                                "node",
                                "add",
                                "alpha",
                                "nowhere",
                                "--ca",
                                ca.toString(),
                                "--token-file",
                                token.toString())
                        .err())
                .contains("'nowhere' is not an address");
        assertThat(operator.mcp("node", "add", "alpha").err()).contains("missing required");
        assertThat(isSaved()).isFalse();
    }

    @Test
    void aKnownNodeIsReplacedOnlyWhenToldTo() {
        int port = operator.agent(new ScriptedAgent());
        add("alpha", Operator.closedPort(), "--offline");

        assertThat(add("alpha", port).exit()).isEqualTo(1);
        assertThat(add("alpha", port, "--replace").exit()).isZero();
        assertThat(operator.mcp("ps").exit()).isZero();
    }

    @Test
    void aRemovedNodeLeavesNoTokenBehind() {
        add("alpha", Operator.closedPort(), "--offline");

        assertThat(operator.mcp("node", "remove", "alpha").exit()).isZero();
        assertThat(Files.exists(operator.home.resolve("alpha.token"))).isFalse();
        assertThat(operator.mcp("node", "list").out()).isEqualTo("no node is known\n");
        assertThat(operator.mcp("node", "remove", "alpha").exit()).isEqualTo(1);
    }

    @Test
    void showTellsWhatTheNodeHas() {
        operator.node("alpha", new ScriptedAgent());

        assertThat(operator.mcp("node", "show", "alpha").out()).isEqualTo("""
                node     alpha at 127.0.0.1:PORT
                agent    0.1.0
                cpus     2
                memory   4.0 GiB, 1.5 GiB free
                disk     100.0 GiB, 50.0 GiB free
                runtime  podman 5.4.2
                runtime  microvm: not available: no VMM was found
                """);
        assertThat(operator.mcp("node", "show", "alpha", "--json").out())
                .isEqualTo(
                        "{\"name\":\"alpha\",\"cpus\":2,\"memory_bytes\":4294967296,\"memory_free_bytes\":1610612736,"
                                + "\"memory_reason\":null,"
                                + "\"disk_bytes\":107374182400,\"disk_free_bytes\":53687091200,\"disk_reason\":null,"
                                + "\"runtimes\":[{\"name\":"
                                + "\"podman\",\"available\":true,\"reason\":null,\"accelerator\":null,\"version\":\"5.4.2\"},"
                                + "{\"name\":\"microvm\",\"available\":false,\"reason\":\"no VMM was found\","
                                + "\"accelerator\":null,\"version\":null}],\"version\":\"0.1.0\",\"registry\":null,"
                                + "\"components\":[]}\n");
    }

    @Test
    void doctorChecksThisSideAndAsksTheOther() throws IOException {
        operator.node("alpha", new ScriptedAgent()).shop();
        Operator.Result fine = operator.mcp("doctor");
        assertThat(fine.exit()).isZero();
        assertThat(fine.out())
                .contains("ok       client: token: of alpha is the operator's alone")
                .contains("ok       client: definition: shop on alpha")
                .contains("ok       alpha: agent: answers")
                .contains(
                        "warning  alpha: lingering: is off for user mcp\n           next: loginctl enable-linger mcp");

        Files.setPosixFilePermissions(
                operator.home.resolve("alpha.token"), PosixFilePermissions.fromString("rw-r--r--"));
        Operator.Result open = operator.mcp("doctor", "--json");
        assertThat(open.exit()).isEqualTo(1);
        assertThat(open.out())
                .contains("{\"node\":null,\"check\":\"token\",\"status\":\"error\",\"message\":"
                        + "\"HOME/alpha.token can be read by others\",\"fix\":\"chmod 600 HOME/alpha.token\"}");
    }
}
