package dev.metacircular.runtime;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;

/** Tells the changes of a {@link FakeRuntime}, to each listener on a thread of its own. */
final class FakeEvents implements Events {
    private final List<Delivery> deliveries = new CopyOnWriteArrayList<>();

    @Override
    public Subscription subscribe(Listener listener) {
        Delivery delivery = new Delivery(listener);
        deliveries.add(delivery);
        delivery.queue.add(listener::gap);
        return () -> {
            deliveries.remove(delivery);
            delivery.thread.interrupt();
        };
    }

    void changed(InstanceId instance) {
        deliveries.forEach(d -> d.queue.add(() -> d.listener.changed(instance)));
    }

    void gap() {
        deliveries.forEach(d -> d.queue.add(d.listener::gap));
    }

    void close() {
        deliveries.forEach(d -> d.thread.interrupt());
        deliveries.clear();
    }

    private static final class Delivery {
        final Listener listener;
        final BlockingQueue<Runnable> queue = new LinkedBlockingQueue<>();
        final Thread thread;

        Delivery(Listener listener) {
            this.listener = listener;
            this.thread = Thread.ofVirtual().name("fake-events").start(this::deliver);
        }

        private void deliver() {
            try {
                while (true) {
                    queue.take().run();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
