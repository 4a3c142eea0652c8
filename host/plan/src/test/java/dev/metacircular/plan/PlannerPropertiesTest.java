package dev.metacircular.plan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.Target;
import dev.metacircular.plan.Current.Existing;
import dev.metacircular.plan.Current.Registered;
import dev.metacircular.plan.Wanted.Item;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

final class PlannerPropertiesTest {
    private static final Name SERVICE = Name.of("shop");

    record Case(Wanted wanted, Current current) {}

    @Provide
    Arbitrary<Case> cases() {
        Arbitrary<Name> name = Arbitraries.of("web", "worker", "shop", "db").map(Name::of);
        Arbitrary<Component> component = Combinators.combine(
                        name,
                        Arbitraries.integers().between(1, 3),
                        Arbitraries.integers().between(0, 3))
                .as((n, version, port) -> Component.builder(n.value(), "registry.example:5000/" + n + ":v" + version)
                        .ports(port == 0 ? List.of() : List.of(PortMapping.parse("1800" + port + ":80")))
                        .build());
        Arbitrary<Item> item = Combinators.combine(component, Arbitraries.of(Desired.class))
                .as((c, desired) -> new Item(c, "digest " + c, desired));
        Arbitrary<List<Item>> items =
                item.list().ofMaxSize(4).uniqueElements(i -> i.component().name());
        Arbitrary<Existing> existing = Combinators.combine(
                        component,
                        Arbitraries.integers().between(1, 5),
                        Arbitraries.of(true, false),
                        Arbitraries.of(true, false))
                .as((c, generation, running, otherImage) -> new Existing(
                        new ComponentId(SERVICE, c.name()),
                        c.name() + "-" + generation,
                        generation,
                        "digest " + c,
                        otherImage ? "other" : "pulled " + c.image(),
                        running));
        Arbitrary<Target> target = name.optional().map(component1 -> new Target(SERVICE, component1));
        return Combinators.combine(
                        items,
                        items,
                        existing.list().ofMaxSize(5).uniqueElements(Existing::instance),
                        target,
                        Arbitraries.of(true, false),
                        Arbitraries.of(true, false),
                        Arbitraries.of(true, false))
                .as((wanted, registered, instances, which, active, wasActive, pulled) -> {
                    Map<Name, Registered> rows = new HashMap<>();
                    registered.forEach(i ->
                            rows.put(i.component().name(), new Registered(i.component(), i.digest(), i.desired())));
                    Map<ImageKey, String> images = new HashMap<>();
                    if (pulled) {
                        wanted.forEach(i -> images.put(
                                ImageKey.of(i.component()),
                                "pulled " + i.component().image()));
                    }
                    return new Case(
                            new Wanted(which, active, wanted),
                            new Current(rows.isEmpty() ? 0 : 5, wasActive, rows, instances, images, List.of()));
                });
    }

    @Property(tries = 2000)
    void onePlanConvergesAndASecondIsEmpty(@ForAll("cases") Case c) {
        Current after = new Execution(c.current()).run(Planner.plan(c.wanted(), c.current()), c.wanted());
        assertThat(Planner.plan(c.wanted(), after).lines()).isEmpty();
    }

    @Property(tries = 2000)
    void afterwardsExactlyOneInstanceOfEachWantedComponentRuns(@ForAll("cases") Case c) {
        Current after = new Execution(c.current()).run(Planner.plan(c.wanted(), c.current()), c.wanted());
        for (Item item : c.wanted().items()) {
            if (!c.wanted().target().includes(item.component().name())) {
                continue;
            }
            List<Existing> running = after
                    .of(new ComponentId(SERVICE, item.component().name()))
                    .stream()
                    .filter(Existing::running)
                    .toList();
            switch (item.desired().under(c.wanted().active())) {
                case RUNNING ->
                    assertThat(running)
                            .singleElement()
                            .satisfies(i -> assertThat(i.documentDigest()).isEqualTo(item.digest()));
                case STOPPED -> assertThat(running).isEmpty();
                case IGNORE -> {}
            }
        }
    }

    @Property(tries = 2000)
    void whatIsNotNamedOrIsIgnoredIsNotTouched(@ForAll("cases") Case c) {
        Set<Name> untouchable = new HashSet<>();
        c.wanted().items().stream()
                .filter(i -> i.desired() == Desired.IGNORE)
                .forEach(i -> untouchable.add(i.component().name()));
        c.current().registered().forEach((name, row) -> {
            if (row.desired() == Desired.IGNORE && !c.wanted().names(name)) {
                untouchable.add(name);
            }
        });
        Optional<Name> only = c.wanted().target().component();
        assertThat(Planner.plan(c.wanted(), c.current()).touched())
                .allSatisfy(id -> assertThat(untouchable).doesNotContain(id.component()))
                .allSatisfy(id -> assertThat(only.map(id.component()::equals).orElse(true))
                        .isTrue());
    }

    @Property(tries = 500)
    void nothingIsRemovedBeforeTheCommit(@ForAll("cases") Case c) {
        List<Operation> operations = Planner.plan(c.wanted(), c.current()).operations();
        int commit = operations.stream().map(Operation::op).toList().indexOf("commit");
        for (int i = 0; i < operations.size(); i++) {
            assertThat(operations.get(i) instanceof Operation.Remove).isEqualTo(i > commit && commit >= 0);
        }
        assertThat(operations.isEmpty()).isEqualTo(commit < 0);
    }
}
