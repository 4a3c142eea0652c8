package dev.metacircular.runtime;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Has {@link FakeRuntime} do the workloads. */
final class FakeConformanceBackend implements ConformanceBackend {
    private static final Name NODE = Name.of("alpha");
    private static final String IMAGE = "localhost/workloads:v1";
    private static final String PULLABLE = "registry.example:5000/workloads:v1";

    private final FakeRuntime runtime = new FakeRuntime(NODE);
    private int port = 20_000;

    FakeConformanceBackend() {
        Image _ = runtime.install(IMAGE, FakeConformanceBackend::run);
        runtime.publish(PULLABLE, FakeConformanceBackend::run);
        runtime.deny("registry.example:5000/secret:v1");
    }

    private static int run(FakeProcess process) throws InterruptedException {
        return switch (Workload.valueOf(process.spec().component().command().getFirst())) {
            case RUNS -> untilAsked(process);
            case STUBBORN -> {
                process.out("stubborn");
                Thread.sleep(Long.MAX_VALUE);
                yield 0;
            }
            case FAILS -> {
                process.err("boom");
                yield 3;
            }
            case TALKS -> {
                process.out("one");
                process.out("two");
                process.err("three");
                yield untilAsked(process);
            }
            case LONG_LINE -> {
                process.out("x".repeat(40_000));
                process.out("end");
                yield 0;
            }
            case TICKS -> {
                for (int i = 0; i < 10; i++) {
                    process.out("tick");
                    Thread.sleep(100);
                }
                yield 0;
            }
            case SERVES -> {
                process.answerAt("/ok", 200);
                yield untilAsked(process);
            }
            case MUTE -> {
                process.acceptOnly();
                yield untilAsked(process);
            }
            case REPORTS -> {
                process.out(report(process.spec()));
                yield untilAsked(process);
            }
        };
    }

    private static int untilAsked(FakeProcess process) throws InterruptedException {
        process.awaitTermination();
        return 0;
    }

    private static String report(InstanceSpec spec) {
        String greeting = spec.component().env().stream()
                .filter(e -> e.startsWith("GREETING="))
                .map(e -> e.substring("GREETING=".length()))
                .findFirst()
                .orElse("");
        return "greeting=" + greeting + " secret=" + spec.secrets().getOrDefault("PASSWORD", "") + " file="
                + content(spec) + " user="
                + spec.component().user().orElse("0").split(":")[0];
    }

    private static String content(InstanceSpec spec) {
        try {
            for (InstanceSpec.Mount mount : spec.volumes()) {
                Path file = mount.source().resolve("file");
                if (mount.target().equals("/data") && Files.exists(file)) {
                    return Files.readString(file).strip();
                }
            }
            return "";
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Override
    public Runtime runtime() {
        return runtime;
    }

    @Override
    public Runtime reopened(Name node) {
        return runtime;
    }

    @Override
    public Name node() {
        return NODE;
    }

    @Override
    public ImageRef image() {
        return ImageRef.parse(IMAGE);
    }

    @Override
    public List<String> command(Workload workload) {
        return List.of(workload.name());
    }

    @Override
    public ImageRef pullable() {
        return ImageRef.parse(PULLABLE);
    }

    @Override
    public void moveTag() {
        runtime.publish(PULLABLE, FakeConformanceBackend::run);
    }

    @Override
    public ImageRef absent() {
        return ImageRef.parse("registry.example:5000/absent:v1");
    }

    @Override
    public ImageRef denied() {
        return ImageRef.parse("registry.example:5000/secret:v1");
    }

    @Override
    public int freePort() {
        port++;
        return port;
    }

    @Override
    public void close() {
        runtime.close();
    }
}
