package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Usage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NodeInfoTest {
    @TempDir
    private Path cgroups;

    private NodeInfo info(String ociRuntime) {
        String json = """
                {"host":{"cgroupVersion":"v1","security":{"rootless":true},"ociRuntime":{"name":"%s"}},"version":{"Version":"4.3.1"}}""".formatted(ociRuntime);
        return NodeInfo.of(Json.parse(json.getBytes(StandardCharsets.UTF_8)), cgroups);
    }

    @Test
    void crunIsAnObstacleOnHybridCgroupsAndRuncIsNot() throws IOException {
        assertThat(info("crun").obstacles()).isEmpty();
        Files.createDirectory(cgroups.resolve("unified"));
        Path controllers = Files.createFile(cgroups.resolve("unified/cgroup.controllers"));
        assertThat(info("crun").obstacles()).isEmpty();
        Files.writeString(controllers, "hugetlb\n");
        assertThat(info("runc").obstacles()).isEmpty();
        assertThat(info("crun").obstacles()).singleElement().satisfies(o -> {
            assertThat(o.stops()).isTrue();
            assertThat(o.what()).contains("crun", "hybrid cgroups");
            assertThat(o.mend()).contains("runtime = \"runc\"", "containers.conf");
        });
    }

    /** As podman 4.3.1 and 5.4.2 tell it, cut down to what is read. */
    @Test
    void whatContainersTakeIsReadFromPodmansStatistics() {
        String answer = """
                {"Error":null,"Stats":[
                  {"AvgCPU":1.5,"ContainerID":"aa","Name":"shop-web","CPU":1.5,"CPUNano":2500000000,"MemUsage":1048576,"MemLimit":2097152},
                  {"AvgCPU":1.5,"ContainerID":"cc","Name":"shop-vm","CPU":1.5,"CPUNano":1,"MemUsage":1},
                  {"AvgCPU":0,"ContainerID":"bb","Name":"shop-gone","CPU":0,"CPUNano":0,"MemUsage":0}]}""";
        Kinds kinds = new Kinds(RuntimeKind.CONTAINER);
        kinds.know(new InstanceId(RuntimeKind.UNIKERNEL, "cc"));
        assertThat(Stats.of(Json.parse(answer.getBytes(StandardCharsets.UTF_8)), kinds))
                .containsOnlyKeys(new InstanceId(RuntimeKind.CONTAINER, "aa"))
                .containsValue(new Usage(1 << 20, Duration.ofMillis(2_500)));
    }
}
