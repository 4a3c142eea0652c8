package dev.metacircular.agent;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.DefaultChannelPromise;
import io.netty.channel.nio.NioEventLoopGroup;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Serves so many accepted connections at a time, and so many of one address; one too many is closed before it costs anything. */
final class BoundedConnections extends NioEventLoopGroup {
    static final int MAX = 256;
    static final int MAX_OF_ADDRESS = 64;

    private final Map<InetAddress, Integer> open = new HashMap<>();
    private int total;

    BoundedConnections(int threads) {
        super(threads);
    }

    @Override
    public ChannelFuture register(Channel channel) {
        Optional<InetAddress> peer = channel.remoteAddress() instanceof InetSocketAddress a
                ? Optional.ofNullable(a.getAddress())
                : Optional.empty();
        if (peer.isEmpty()) {
            return super.register(channel);
        }
        InetAddress address = peer.get();
        if (!take(address)) {
            // Not by a failed future: whoever accepted it would write a stack trace for each.
            channel.unsafe().closeForcibly();
            return new DefaultChannelPromise(channel, next());
        }
        channel.closeFuture().addListener(_ -> release(address));
        return super.register(channel);
    }

    private synchronized boolean take(InetAddress address) {
        int its = open.getOrDefault(address, 0);
        if (total >= MAX || its >= MAX_OF_ADDRESS) {
            return false;
        }
        total++;
        open.put(address, its + 1);
        return true;
    }

    private synchronized void release(InetAddress address) {
        total--;
        open.computeIfPresent(address, (_, its) -> its == 1 ? null : its - 1);
    }
}
