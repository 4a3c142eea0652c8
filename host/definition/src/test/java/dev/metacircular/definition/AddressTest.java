package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AddressTest {
    @ParameterizedTest
    @ValueSource(strings = {"10.0.0.2:7443", "a:0", "node-1.example.org:65535", "[::1]:1", "[fd00::2]:7443"})
    void aValidAddressIsWrittenAsItWasRead(String text) {
        assertThat(Address.parse(text)).hasToString(text);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                ":1",
                "a",
                "a:",
                "a:65536",
                "a:-1",
                "10.0.0:1",
                "10.0.0.256:1",
                "::1:1",
                "[::1]",
                "[:::]:1",
                "[]:1",
                "a_b:1",
                "-a:1",
                "a-:1",
                "a..b:1",
                "a b:1",
                "http://a:1",
                "[10.0.0.2]:1x"
            })
    void whatIsNoAddressIsRefused(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> Address.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"0.0.0.0:1", "[::]:1", "[0:0:0:0:0:0:0:0]:1"})
    void anAddressMayMeanEveryAddress(String text) {
        assertThat(Address.parse(text).isWildcard()).isTrue();
        assertThat(Address.parse("127.0.0.1:1").isWildcard()).isFalse();
        assertThat(Address.parse("localhost:1").isWildcard()).isFalse();
    }
}
