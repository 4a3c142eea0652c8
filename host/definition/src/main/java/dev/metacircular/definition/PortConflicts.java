package dev.metacircular.definition;

import dev.metacircular.model.PortMapping;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Published ports that cannot be bound side by side. */
final class PortConflicts {
    private PortConflicts() {}

    static void reject(List<Table.Placed<PortMapping>> ports, Faults faults) {
        Map<Integer, List<Table.Placed<PortMapping>>> byPort = new HashMap<>();
        for (Table.Placed<PortMapping> port : ports) {
            List<Table.Placed<PortMapping>> same =
                    byPort.computeIfAbsent(port.value().hostPort(), _ -> new ArrayList<>());
            same.stream()
                    .filter(other -> other.value().conflictsWith(port.value()))
                    .findFirst()
                    .ifPresent(other -> faults.add(
                            port.at(),
                            "port '" + port.value() + "', which conflicts with '" + other.value() + "' on line "
                                    + other.at().line(),
                            "each of the node's ports once"));
            same.add(port);
        }
    }
}
