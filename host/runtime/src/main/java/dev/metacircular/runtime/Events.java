package dev.metacircular.runtime;

/** The capability to tell changes of instances as they happen. */
public interface Events {
    /** Delivers on a thread of the backend's until the subscription is closed. A broken stream is opened again by itself. */
    Subscription subscribe(Listener listener);

    /** Is told of changes; must not block. */
    interface Listener {
        /** Something about this instance changed: it started, ended or was removed. */
        void changed(InstanceId instance);

        /** Changes may have been missed: list again. Also called once when the stream is first open. */
        void gap();
    }

    /** Ends delivery when closed. */
    interface Subscription extends AutoCloseable {
        @Override
        void close();
    }
}
