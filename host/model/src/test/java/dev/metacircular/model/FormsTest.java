package dev.metacircular.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class FormsTest {
    private static final String DIGEST = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    @ParameterizedTest
    @CsvSource({
        "uktest,web,uktest-web",
        "uktest,uktest,uktest",
        "mc-proxy,mc-proxy,mc-proxy",
        "mc-proxy,api,mc-proxy-api"
    })
    void aCanonicalNameDoesNotRepeatTheServices(String service, String component, String name) {
        assertThat(ComponentId.of(service, component).canonicalName()).isEqualTo(name);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "-a",
                "A",
                "a_b",
                "a.b",
                "ä",
                "a b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            })
    void aFaultyNameIsRefused(String name) {
        assertThatIllegalArgumentException().isThrownBy(() -> Name.of(name)).withMessageContaining(Name.EXPECTED);
    }

    @ParameterizedTest
    @CsvSource({
        "registry.example:5000/shop:v1.4.0,v1.4.0",
        "registry.example/a/b/shop,latest",
        "localhost/shop:dev,dev",
        "127.0.0.1:5000/shop@" + DIGEST + ",0123456789ab",
        "[::1]:5000/shop:v1@" + DIGEST + ",v1"
    })
    void anImageReferenceTellsItsVersionAndPrintsAsItWasRead(String text, String version) {
        assertThat(ImageRef.parse(text).version()).isEqualTo(version);
        assertThat(ImageRef.parse(text)).hasToString(text);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "shop",
                "shop:v1",
                "library/shop",
                "registry.example/",
                "registry.example/Shop",
                "registry.example/shop:",
                "registry.example/shop@sha256:12",
                "registry.example/shop:v 1",
                "http://registry.example/shop"
            })
    void aFaultyImageReferenceIsRefused(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> ImageRef.parse(text));
    }

    @Test
    void onlyLatestFloats() {
        assertThat(ImageRef.parse("r.example/a").floats()).isTrue();
        assertThat(ImageRef.parse("r.example/a:latest").floats()).isTrue();
        assertThat(ImageRef.parse("r.example/a:v1").floats()).isFalse();
        assertThat(ImageRef.parse("r.example/a@" + DIGEST).floats()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "8080:80,0.0.0.0:8080:80",
        "127.0.0.1:8080:80,127.0.0.1:8080:80",
        "[::1]:53:53/udp,[::1]:53:53/udp",
        "8080:80/tcp,0.0.0.0:8080:80"
    })
    void aPortMappingIsRead(String text, String canonical) {
        assertThat(PortMapping.parse(text)).hasToString(canonical);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "80",
                "0:80",
                "80:0",
                "65536:80",
                "80:99999",
                "300.1.1.1:80:80",
                "localhost:80:80",
                "80:80/sctp",
                "1.2.3.4.:80:80",
                "-1:80"
            })
    void aFaultyPortMappingIsRefused(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> PortMapping.parse(text));
    }

    @Test
    void portsConflictByProtocolAndAddress() {
        PortMapping any = PortMapping.parse("8080:80");
        assertThat(any.conflictsWith(PortMapping.parse("127.0.0.1:8080:81"))).isTrue();
        assertThat(any.conflictsWith(PortMapping.parse("8080:80/udp"))).isFalse();
        assertThat(PortMapping.parse("127.0.0.1:8080:80").conflictsWith(PortMapping.parse("127.0.0.2:8080:80")))
                .isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "data",
                "data:relative",
                "../x:/x",
                "a/../b:/x",
                "data:/x:rw",
                "data:/x/../y",
                "a//b:/x",
                "data:/x:ro:z",
                "a\nb:/x"
            })
    void aFaultyVolumeIsRefused(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> Volume.parse(text));
    }

    @ParameterizedTest
    @CsvSource({
        "no,0,false",
        "no,1,false",
        "on-failure,0,false",
        "on-failure:3,1,true",
        "always,0,true",
        "unless-stopped,0,true"
    })
    void aRestartPolicyDecidesByStatus(String policy, int status, boolean restarts) {
        assertThat(RestartPolicy.parse(policy).orElseThrow().wantsRestart(status))
                .isEqualTo(restarts);
        assertThat(RestartPolicy.parse(policy).orElseThrow()).hasToString(policy);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "never", "on-failure:0", "on-failure:x", "ALWAYS"})
    void aFaultyRestartPolicyIsNotRead(String policy) {
        assertThat(RestartPolicy.parse(policy)).isEmpty();
    }

    @Test
    void aTargetIsAServiceOrOneOfItsComponents() {
        assertThat(Target.parse("shop/web")).hasToString("shop/web");
        assertThat(Target.parse("shop").includes(Name.of("web"))).isTrue();
        assertThat(Target.parse("shop/web").includes(Name.of("db"))).isFalse();
        assertThatIllegalArgumentException().isThrownBy(() -> Target.parse("shop/web/x"));
    }
}
