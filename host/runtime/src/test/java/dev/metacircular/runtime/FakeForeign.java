package dev.metacircular.runtime;

import dev.metacircular.model.Component;
import dev.metacircular.model.Name;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** Describes what {@link FakeRuntime#addForeign} put there. */
record FakeForeign(Function<InstanceId, FakeInstance> find, BiConsumer<InstanceId, String> call) implements Foreign {
    @Override
    public Description describe(InstanceId instance, Name component) {
        Component made = find.apply(instance)
                .spec
                .orElseThrow(() -> new RuntimeFailure(RuntimeFailure.Kind.UNSUPPORTED, "its image has no name"))
                .component();
        Component named = Component.builder(component.value(), made.image().toString())
                .ports(made.ports())
                .volumes(made.volumes())
                .command(made.command())
                .build();
        return new Description(named, List.of("its charm"), "always");
    }

    @Override
    public void rename(InstanceId instance, String name) {
        call.accept(instance, name);
    }
}
