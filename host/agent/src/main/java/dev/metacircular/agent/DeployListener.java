package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.plan.Operation;
import dev.metacircular.plan.Plan;
import java.util.Locale;

/** Is told how a deploy goes on, by several threads at a time; must not fail. */
interface DeployListener {
    /** How an operation stands. */
    enum Status {
        BEGIN,
        DONE,
        FAILED,
        UNDONE,
        SKIPPED;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** The plan that is carried out, where it is not the one that was asked for. */
    void plan(Plan plan);

    void progress(ComponentId id, String what, long doneBytes, long totalBytes);

    void operation(int index, Operation operation, Status status, String message);
}
