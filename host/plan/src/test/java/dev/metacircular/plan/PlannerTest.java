package dev.metacircular.plan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Target;
import dev.metacircular.plan.Current.Existing;
import dev.metacircular.plan.Current.Registered;
import dev.metacircular.plan.Wanted.Item;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class PlannerTest {
    private static Item item(String name, String version, String... ports) {
        Component component = Component.builder(name, "registry.example:5000/" + name + ":" + version)
                .ports(java.util.Arrays.stream(ports).map(PortMapping::parse).toList())
                .build();
        return new Item(component, name + version + String.join(",", ports), Desired.RUNNING);
    }

    private static Wanted wanted(String target, Item... items) {
        return new Wanted(Target.parse(target), true, List.of(items));
    }

    private static Current running(Item... items) {
        Map<Name, Registered> rows = new HashMap<>();
        for (Item i : items) {
            rows.put(i.component().name(), new Registered(i.component(), i.digest(), Desired.RUNNING));
        }
        List<Existing> instances = java.util.Arrays.stream(items)
                .map(i -> new Existing(
                        new ComponentId(Name.of("shop"), i.component().name()),
                        i.component().name() + "-old",
                        3,
                        i.digest(),
                        "id of " + i.component().image(),
                        true))
                .toList();
        Map<ImageKey, String> images = new HashMap<>();
        for (Item i : items) {
            images.put(ImageKey.of(i.component()), "id of " + i.component().image());
        }
        return new Current(3, true, rows, instances, images, List.of("mc.shop"));
    }

    private static List<String> steps(Plan plan) {
        return plan.operations().stream()
                .map(o -> o.op() + o.component().map(c -> " " + c.component()).orElse(""))
                .toList();
    }

    @Test
    void aFirstDeployPullsAndStartsInTheFilesOrder() {
        Current nothing = new Current(0, true, Map.of(), List.of(), Map.of(), List.of());
        assertThat(steps(Planner.plan(wanted("shop", item("web", "v1"), item("shop", "v1")), nothing)))
                .containsExactly(
                        "pull web",
                        "pull shop",
                        "network",
                        "create web",
                        "start web",
                        "wait web",
                        "create shop",
                        "start shop",
                        "wait shop",
                        "commit");
    }

    @Test
    void aNewVersionOverlapsWithTheOldWhereNothingIsShared() {
        assertThat(steps(Planner.plan(wanted("shop", item("web", "v2")), running(item("web", "v1")))))
                .containsExactly(
                        "pull web",
                        "set_aside web",
                        "create web",
                        "start web",
                        "wait web",
                        "stop web",
                        "commit",
                        "remove web");
    }

    @Test
    void itsTextNamesInstancesByComponentAndGeneration() {
        assertThat(Planner.plan(wanted("shop", item("web", "v2")), running(item("web", "v1"))).operations().stream()
                        .map(Operation::message))
                .contains(
                        "keep shop-web of generation 3 aside, to fall back on",
                        "start shop-web",
                        "stop shop-web of generation 3: the new one has held",
                        "remove shop-web of generation 3: replaced");
    }

    @Test
    void theOldIsStoppedFirstWhereBothNeedOnePort() {
        assertThat(steps(Planner.plan(
                        wanted("shop", item("web", "v2", "8080:80")), running(item("web", "v1", "127.0.0.1:8080:80")))))
                .containsExactly(
                        "pull web",
                        "stop web",
                        "set_aside web",
                        "create web",
                        "start web",
                        "wait web",
                        "commit",
                        "remove web");
    }

    @Test
    void twoComponentsThatSwapTheirPortsBothMakeRoom() {
        assertThat(steps(Planner.plan(
                        wanted("shop", item("web", "v1", "81:80"), item("api", "v1", "80:80")),
                        running(item("web", "v1", "80:80"), item("api", "v1", "81:80")))))
                .containsExactly(
                        "stop api",
                        "set_aside web",
                        "create web",
                        "start web",
                        "wait web",
                        "stop web",
                        "set_aside api",
                        "create api",
                        "start api",
                        "wait api",
                        "commit",
                        "remove web",
                        "remove api");
    }

    @Test
    void aComponentThatTheFileNoLongerHasGoesWithTheWholeServiceAlone() {
        Current both = running(item("web", "v1"), item("old", "v1"));
        assertThat(steps(Planner.plan(wanted("shop", item("web", "v1")), both)))
                .containsExactly("stop old", "commit", "remove old");
        assertThat(Planner.plan(wanted("shop/web", item("web", "v1")), both).isEmpty())
                .isTrue();
    }

    @Test
    void onlyTheNamedComponentIsTouched() {
        Plan plan = Planner.plan(
                wanted("shop/shop", item("web", "v2"), item("shop", "v2")),
                running(item("web", "v1"), item("shop", "v1")));
        assertThat(plan.touched()).containsExactly(ComponentId.of("shop", "shop"));
    }

    @Test
    void aMovedTagReplacesTheInstance() {
        Item web = item("web", "latest");
        Current now = running(web);
        Current moved = new Current(
                3,
                true,
                now.registered(),
                now.instances(),
                Map.of(ImageKey.of(web.component()), "another"),
                now.networks());
        assertThat(steps(Planner.plan(wanted("shop", web), moved))).contains("create web", "remove web");
        assertThat(Planner.plan(wanted("shop", web), moved).lines())
                .anyMatch(line -> line.contains("the image behind the tag changed"));
    }

    @Test
    void anotherRuntimeReplacesTheInstanceAndHasAnImageOfItsOwn() {
        Item container = item("web", "v1");
        Component vm = Component.builder("web", container.component().image().toString())
                .runtime(RuntimeKind.UNIKERNEL)
                .build();
        Plan plan = Planner.plan(wanted("shop", new Item(vm, "another", Desired.RUNNING)), running(container));
        assertThat(steps(plan))
                .containsExactly(
                        "pull web",
                        "set_aside web",
                        "create web",
                        "start web",
                        "wait web",
                        "stop web",
                        "commit",
                        "remove web");
    }
}
