package dev.metacircular.agent;

import dev.metacircular.registry.RegistryException;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Counts every call that reaches the runtime or the registry, and spoils one of them. */
final class Steps {
    /** What becomes of the chosen call. */
    enum Fault {
        NONE,
        /** It fails, having done nothing. */
        FAILS,
        /** It does its work, and the answer is lost. */
        LOSES_ANSWER,
        /** The process dies before the call reaches anything. */
        DIES_BEFORE,
        /** The process dies once the call has done its work. */
        DIES_AFTER
    }

    /** The process is dead: nothing of it runs on. */
    static final class Dead extends Error {
        private static final long serialVersionUID = 1L;
    }

    /** Of these none fails. */
    private static final Set<String> NOT_STEPS =
            Set.of("kind", "availability", "exec", "events", "close", "toString", "hashCode");

    private final List<String> seen = new ArrayList<>();
    private Fault fault = Fault.NONE;
    private int at = -1;
    private boolean dead;

    /** Counts from 0 from now on, and spoils the call of that index. */
    synchronized void spoil(int index, Fault kind) {
        seen.clear();
        at = index;
        fault = kind;
    }

    synchronized List<String> seen() {
        return List.copyOf(seen);
    }

    synchronized boolean isDead() {
        return dead;
    }

    Runtime watch(Runtime runtime) {
        return (Runtime) Proxy.newProxyInstance(
                Steps.class.getClassLoader(),
                new Class<?>[] {Runtime.class},
                (_, method, arguments) -> call(runtime, method, arguments));
    }

    Ledger watch(Ledger ledger) {
        return (Ledger) Proxy.newProxyInstance(
                Steps.class.getClassLoader(),
                new Class<?>[] {Ledger.class},
                (_, method, arguments) -> call(ledger, method, arguments));
    }

    private Object call(Object target, Method method, Object[] arguments) throws Throwable {
        boolean spoiled = false;
        synchronized (this) {
            if (dead) {
                throw new Dead();
            }
            if (!NOT_STEPS.contains(method.getName())) {
                spoiled = seen.size() == at;
                seen.add(method.getName());
            }
            if (spoiled && fault == Fault.DIES_BEFORE) {
                dead = true;
                throw new Dead();
            }
        }
        if (spoiled && fault == Fault.FAILS) {
            throw failure(target, method, RuntimeFailure.Kind.FAILED);
        }
        Object result;
        try {
            result = method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
        synchronized (this) {
            if (spoiled && fault == Fault.DIES_AFTER) {
                dead = true;
            }
            if (dead) {
                throw new Dead();
            }
        }
        if (spoiled && fault == Fault.LOSES_ANSWER) {
            throw failure(target, method, RuntimeFailure.Kind.DEADLINE);
        }
        return result;
    }

    private static RuntimeException failure(Object target, Method method, RuntimeFailure.Kind kind) {
        return target instanceof Ledger
                ? new RegistryException("injected into " + method.getName())
                : new RuntimeFailure(kind, "injected into " + method.getName());
    }
}
