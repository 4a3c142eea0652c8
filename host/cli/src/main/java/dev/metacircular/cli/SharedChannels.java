package dev.metacircular.cli;

import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.model.Name;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

/** One connection to each node, for calls that are made side by side. */
final class SharedChannels implements AutoCloseable {
    private final Map<Name, AgentChannel> channels = new HashMap<>();

    /** A channel whose end leaves the connection open. */
    synchronized AgentChannel to(Name node, Supplier<AgentChannel> connect) {
        return channels.computeIfAbsent(node, _ -> connect.get()).shared();
    }

    @Override
    public synchronized void close() {
        channels.values().forEach(AgentChannel::close);
    }
}
