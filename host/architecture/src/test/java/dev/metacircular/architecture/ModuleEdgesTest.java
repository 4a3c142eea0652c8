package dev.metacircular.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Who may know whom among the modules; the same table stands in ARCHITECTURE.md. */
final class ModuleEdgesTest {
    private static final String ROOT = "dev.metacircular.";

    /** Package of a module to the packages of the modules that it may know. */
    private static final Map<String, Set<String>> EDGES = new TreeMap<>(Map.ofEntries(
            Map.entry("model", Set.of()),
            Map.entry("vm", Set.of()),
            Map.entry("image", Set.of()),
            Map.entry("oci", Set.of()),
            Map.entry("contract", Set.of("model")),
            Map.entry("definition", Set.of("model")),
            Map.entry("plan", Set.of("model")),
            Map.entry("registry", Set.of("model")),
            Map.entry("runtime", Set.of("model")),
            Map.entry("runtime.podman", Set.of("runtime", "oci", "model")),
            Map.entry("runtime.microvm", Set.of("runtime", "runtime.podman", "vm", "image", "oci", "model")),
            Map.entry(
                    "agent",
                    Set.of(
                            "model",
                            "contract",
                            "definition",
                            "plan",
                            "registry",
                            "runtime",
                            "runtime.podman",
                            "runtime.microvm",
                            "vm")),
            Map.entry("cli", Set.of("model", "contract", "definition", "plan")),
            Map.entry("ukernel", Set.of("model", "definition", "vm", "image", "oci"))));

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.metacircular");

    static Set<String> modules() {
        return EDGES.keySet();
    }

    @ParameterizedTest
    @MethodSource("modules")
    void aModuleKnowsOnlyWhatTheTableAllows(String module) {
        Set<String> faults = new TreeSet<>();
        CLASSES.stream()
                .filter(c -> moduleOf(c).equals(module))
                .forEach(c -> c.getDirectDependenciesFromSelf().forEach(d -> {
                    String known = moduleOf(d.getTargetClass().getBaseComponentType());
                    if (!known.isEmpty()
                            && !known.equals(module)
                            && !EDGES.getOrDefault(module, Set.of()).contains(known)) {
                        faults.add(d.getDescription());
                    }
                }));
        assertThat(faults).isEmpty();
    }

    @Test
    void everyPackageBelongsToAModuleOfTheTable() {
        assertThat(CLASSES.stream().map(ModuleEdgesTest::moduleOf))
                .isNotEmpty()
                .allSatisfy(m -> assertThat(EDGES).containsKey(m));
    }

    @Test
    void theModelIsPure() {
        Set<String> allowed = Set.of("java.lang", "java.util", "java.time", "org.jspecify", "dev.metacircular.model");
        Set<String> foreign = new TreeSet<>();
        CLASSES.stream()
                .filter(c -> moduleOf(c).equals("model"))
                .forEach(c -> c.getDirectDependenciesFromSelf().forEach(d -> {
                    String target = d.getTargetClass().getBaseComponentType().getPackageName();
                    if (!target.isEmpty() && allowed.stream().noneMatch(target::startsWith)) {
                        foreign.add(d.getDescription());
                    }
                }));
        assertThat(foreign).isEmpty();
    }

    private static String moduleOf(JavaClass c) {
        String name = c.getPackageName();
        if (!name.startsWith(ROOT)) {
            return "";
        }
        String rest = name.substring(ROOT.length());
        for (String backend : Set.of("runtime.podman", "runtime.microvm")) {
            if (rest.startsWith(backend)) {
                return backend;
            }
        }
        int dot = rest.indexOf('.');
        return dot < 0 ? rest : rest.substring(0, dot);
    }
}
