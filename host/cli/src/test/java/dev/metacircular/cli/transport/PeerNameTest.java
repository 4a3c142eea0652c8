package dev.metacircular.cli.transport;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.cli.TestCertificates;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PeerNameTest {
    private static final TestCertificates AUTHORITY = new TestCertificates("Ed25519");

    private static X509Certificate certificate(String... names) {
        return AUTHORITY.server(Duration.ofHours(1), names).certificate();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "alpha.example",
                "ALPHA.example",
                "alpha.example.",
                "10.1.2.3",
                "2001:db8::1",
                "2001:db8:0:0:0:0:0:1"
            })
    void aNameOfTheCertificateMatches(String host) throws CertificateParsingException {
        assertThat(PeerName.matches(certificate("alpha.example", "10.1.2.3", "2001:db8::1"), host))
                .isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"beta.example", "x.alpha.example", "example", "10.1.2.4", "2001:db8::2", "agent", ""})
    void anotherNameDoesNot(String host) throws CertificateParsingException {
        assertThat(PeerName.matches(certificate("alpha.example", "10.1.2.3", "2001:db8::1"), host))
                .isFalse();
    }

    @Test
    void anAddressMatchesNoDnsNameAndAWildcardNothingButItself() throws CertificateParsingException {
        assertThat(PeerName.matches(certificate("*.example"), "alpha.example")).isFalse();
        assertThat(PeerName.matches(certificate("alpha.example"), "10.1.2.3")).isFalse();
    }

    @Test
    void aCertificateWithoutAlternativeNamesIsForNobodyWhateverItsCommonName() throws CertificateParsingException {
        assertThat(PeerName.matches(certificate(), "agent")).isFalse();
        assertThat(PeerName.of(certificate())).containsExactly("no name at all");
    }
}
