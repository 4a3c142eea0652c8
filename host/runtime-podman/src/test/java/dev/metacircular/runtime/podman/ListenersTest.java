package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.runtime.podman.Listeners.Answer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.List;
import org.junit.jupiter.api.Test;

/** With tables as the kernel prints them, and with this process's own. */
final class ListenersTest {
    private static final String HEAD =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
    private static final String OWN = "0200590A"; // 10.89.0.2

    private static List<String> table(String local, String state, String waiting) {
        return List.of(
                HEAD,
                "   0: " + local + " 00000000:0000 " + state + " 00000000:" + waiting
                        + " 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0");
    }

    @Test
    void listensOnEveryAddressOrItsOwn() {
        assertThat(Listeners.among(table("00000000:1F90", "0A", "00000000"), OWN, 8080))
                .isEqualTo(Answer.LISTENS);
        assertThat(Listeners.among(table(OWN + ":1F90", "0A", "00000000"), OWN, 8080))
                .isEqualTo(Answer.LISTENS);
    }

    @Test
    void refusesWhereNothingListensOnThePort() {
        assertThat(Listeners.among(table("00000000:1F91", "0A", "00000000"), OWN, 8080))
                .isEqualTo(Answer.REFUSES);
        assertThat(Listeners.among(table("00000000:1F90", "01", "00000000"), OWN, 8080))
                .as("a connection is no listener")
                .isEqualTo(Answer.REFUSES);
        assertThat(Listeners.among(List.of(HEAD), OWN, 8080)).isEqualTo(Answer.REFUSES);
    }

    @Test
    void isUnclearWhereConnectionsWaitOrAnotherAddressListens() {
        assertThat(Listeners.among(table("00000000:1F90", "0A", "00000001"), OWN, 8080))
                .isEqualTo(Answer.UNCLEAR);
        assertThat(Listeners.among(table("0100007F:1F90", "0A", "00000000"), OWN, 8080))
                .isEqualTo(Answer.UNCLEAR);
    }

    @Test
    void readsTheKernelsOwnTables() throws IOException {
        long self = ProcessHandle.current().pid();
        int port;
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getByAddress(new byte[] {127, 0, 0, 1}))) {
            port = server.getLocalPort();
            // The JDK listens by IPv6, where the machine has it.
            assertThat(Listeners.at(self, "127.0.0.1", port)).isIn(Answer.LISTENS, Answer.UNCLEAR);
        }
        assertThat(Listeners.at(self, "127.0.0.1", port)).isEqualTo(Answer.REFUSES);
        assertThat(Listeners.at(Long.MAX_VALUE, "127.0.0.1", port)).isEqualTo(Answer.UNCLEAR);
    }
}
