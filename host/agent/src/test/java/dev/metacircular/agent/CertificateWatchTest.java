package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Name;
import dev.metacircular.registry.EventQuery;
import dev.metacircular.registry.Registry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class CertificateWatchTest {
    private static final Name NODE = Name.of("alpha");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    private final TestNode.TestClock clock = new TestNode.TestClock();

    @SuppressWarnings("NullAway.Init")
    private Registry registry;

    @SuppressWarnings("NullAway.Init")
    private Pki pki;

    @SuppressWarnings("NullAway.Init")
    private ServerIdentity identity;

    @SuppressWarnings("NullAway.Init")
    private CertificateWatch watch;

    @BeforeEach
    void open() throws IOException {
        registry = Registry.open(directory, clock);
        pki = new Pki(directory);
        pki.create(NODE, List.of("127.0.0.1", "alpha.example"), Instant.now());
        identity = new ServerIdentity(pki.shown());
        watch = new CertificateWatch(NODE, pki, identity, new EventLog(new RegistryLedger(registry), clock), clock);
    }

    @AfterEach
    void close() {
        registry.close();
    }

    private List<String> kinds() {
        return registry.events().latest(EventQuery.ALL, 0, 100).stream()
                .map(e -> e.event().kind())
                .toList();
    }

    private X509Certificate shown() {
        return identity.getCertificateChain("server")[0];
    }

    @Test
    void theServersCertificateIsRenewedThirtyDaysBeforeItsEndWhileItServes() throws Exception {
        X509Certificate first = shown();
        X509Certificate authority = identity.getCertificateChain("server")[1];
        clock.advance(Duration.ofDays(360));
        watch.look();
        assertThat(shown()).isEqualTo(first);
        clock.advance(Duration.ofDays(8));
        watch.look();

        assertThat(shown()).isNotEqualTo(first);
        shown().verify(authority.getPublicKey());
        assertThat(shown().getNotAfter().toInstant()).isAfter(clock.instant().plus(Duration.ofDays(390)));
        assertThat(List.copyOf(shown().getSubjectAlternativeNames()))
                .isEqualTo(List.copyOf(first.getSubjectAlternativeNames()));
        assertThat(kinds()).containsExactly("certificate_renewed");
        watch.look();
        assertThat(kinds()).hasSize(1);
    }

    @Test
    void aKeyThatACrashLeftWithoutItsCertificateIsMended() throws Exception {
        Path other = Files.createDirectory(directory.resolve("other"));
        Pki strange = new Pki(other);
        strange.create(NODE, List.of("127.0.0.1"), Instant.now());
        Files.copy(
                other.resolve("pki/server.key"),
                directory.resolve("pki/server.key"),
                java.nio.file.StandardCopyOption.REPLACE_EXISTING);

        assertThat(pki.renewIfDue(NODE, Instant.now())).isTrue();
        assertThat(pki.renewIfDue(NODE, Instant.now())).isFalse();
    }

    @Test
    void theEndOfTheNodesOwnAuthorityIsToldInTimeAndEachWeek() throws IOException {
        clock.advance(Duration.ofDays(3650 - 91));
        watch.look();
        assertThat(kinds()).doesNotContain("authority_ends");
        clock.advance(Duration.ofDays(2));
        watch.look();
        watch.look();
        assertThat(kinds()).containsOnlyOnce("authority_ends");
        clock.advance(Duration.ofDays(8));
        watch.look();
        assertThat(kinds().stream().filter("authority_ends"::equals)).hasSize(2);
    }

    @Test
    void aNewAuthorityKeepsTheNamesAndTheOldCertificate() throws IOException, GeneralSecurityException {
        String before = Pki.fingerprint(directory.resolve("ca.pem"));
        X509Certificate first = shown();
        pki.renewAuthority(NODE, Instant.now());

        assertThat(Pki.fingerprint(directory.resolve("ca.pem"))).isNotEqualTo(before);
        assertThat(Pki.fingerprint(directory.resolve("ca-previous.pem"))).isEqualTo(before);
        List<X509Certificate> chain = pki.shown().chain();
        chain.getFirst().verify(chain.getLast().getPublicKey());
        assertThat(List.copyOf(chain.getFirst().getSubjectAlternativeNames()))
                .isEqualTo(List.copyOf(first.getSubjectAlternativeNames()));
    }
}
