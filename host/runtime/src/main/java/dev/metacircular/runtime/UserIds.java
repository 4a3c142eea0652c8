package dev.metacircular.runtime;

/** Who a command runs as, by the numbers that it sees itself. */
public record UserIds(long user, long group) {
    public boolean isRoot() {
        return user == 0 && group == 0;
    }

    /** As {@code chown} takes it. */
    @Override
    public String toString() {
        return user + ":" + group;
    }
}
