package dev.metacircular.acceptance;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** One round of a fault run: how it was before, and what may be different after it. */
final class Round {
    private static final String GUEST_NETWORK = "network mc." + FaultWorld.GUEST;

    private final FaultWorld world;
    private final Map<String, Node.Container> before;
    private final Set<String> belongings;
    private final long lastEvent;
    private final String touched;
    private final String movedBefore;
    private final boolean switchedBefore;
    private final boolean guestBefore;

    /**
     * @param done whether the operator was told that it was done
     * @param on whether the switched component, or the guest, is to be there afterwards
     */
    record Expectation(FaultRun.Act act, boolean done, boolean on) {
        static Expectation nothing() {
            return new Expectation(FaultRun.Act.NOTHING, true, true);
        }

        static Expectation deploy(boolean done) {
            return new Expectation(FaultRun.Act.DEPLOY, done, true);
        }

        static Expectation restart(boolean done) {
            return new Expectation(FaultRun.Act.RESTART, done, true);
        }

        static Expectation crash() {
            return new Expectation(FaultRun.Act.CRASH, true, true);
        }

        static Expectation flip(boolean done, boolean on) {
            return new Expectation(FaultRun.Act.SWITCH, done, on);
        }

        static Expectation guest(boolean done, boolean there) {
            return new Expectation(FaultRun.Act.GUEST, done, there);
        }
    }

    /** How often the agent has begun to serve in the round. */
    record Starts(long least, long most) {
        static final Starts NONE = new Starts(0, 0);

        static Starts afterKill(boolean maybeTwice) {
            return new Starts(1, maybeTwice ? 2 : 1);
        }
    }

    /** How it is now, and what an act may change of it. */
    Round(FaultWorld world, FaultRun.Act act, State state) {
        this.world = world;
        this.before = state.containers();
        this.belongings = state.belongings();
        this.lastEvent = state.lastEvent();
        this.movedBefore = state.image();
        this.switchedBefore = state.switchedOn();
        this.guestBefore = state.guestThere();
        this.touched = switch (act) {
            case DEPLOY -> FaultWorld.MOVED;
            case RESTART, CRASH -> FaultWorld.MORTAL;
            case SWITCH -> FaultWorld.SWITCHED;
            case GUEST -> FaultWorld.GUEST;
            case NOTHING -> "nothing";
        };
    }

    /** What a round leaves to the next one. */
    record State(
            Map<String, Node.Container> containers,
            Map<String, FaultWorld.Registered> registered,
            Set<String> belongings,
            long lastEvent) {
        String image() {
            return in(registered, FaultWorld.MOVED + "/a").image();
        }

        boolean switchedOn() {
            return in(registered, FaultWorld.SWITCHED + "/web").desired().equals("running");
        }

        boolean guestThere() {
            return registered.containsKey(FaultWorld.GUEST + "/web");
        }
    }

    Node.Container before(String component) {
        return in(before, component);
    }

    static <T> T in(Map<String, T> map, String component) {
        T value = map.get(component);
        if (value == null) {
            throw new AssertionError(component + " is not in " + map.keySet());
        }
        return value;
    }

    /** How it is now; empty with the reason while podman does not have what the agent has registered. */
    sealed interface Now {
        record Settled(State state) implements Now {}

        record Not(String why) implements Now {}
    }

    Now look(Expectation expected) {
        Map<String, Node.Container> containers;
        try {
            containers = world.containers();
        } catch (AssertionError severalForNow) {
            return new Now.Not(String.valueOf(severalForNow.getMessage()));
        }
        Optional<Map<String, FaultWorld.Registered>> registered = world.registered();
        if (registered.isEmpty()) {
            return new Now.Not("the agent does not answer");
        }
        for (Map.Entry<String, FaultWorld.Registered> r : registered.get().entrySet()) {
            Node.Container c = containers.get(r.getKey());
            String state = c == null ? "gone" : c.state();
            boolean asDesired = switch (r.getValue().desired()) {
                case "running" -> state.equals("running");
                case "stopped" -> !state.equals("running");
                default -> true;
            };
            if (!asDesired || r.getValue().drifts() || r.getValue().observed().equals("unknown")) {
                return new Now.Not(r.getKey() + " is " + state + ", and the agent says " + r.getValue());
            }
            if (c != null && !c.name().equals(r.getKey().replace('/', '-'))) {
                return new Now.Not(r.getKey() + " is called " + c.name());
            }
        }
        Set<String> orphans = new HashSet<>(containers.keySet());
        orphans.removeAll(registered.get().keySet());
        if (!orphans.isEmpty()) {
            return new Now.Not("orphans " + orphans);
        }
        String mortal = FaultWorld.MORTAL + "/web";
        if (expected.act() == FaultRun.Act.CRASH
                && before(mortal).startedAt().equals(in(containers, mortal).startedAt())) {
            return new Now.Not("what crashed was not started again");
        }
        Set<String> now = world.belongings();
        Set<String> wanted = new TreeSet<>(belongings);
        wanted.remove(GUEST_NETWORK);
        if (registered.get().containsKey(FaultWorld.GUEST + "/web") && now.contains(GUEST_NETWORK)) {
            wanted.add(GUEST_NETWORK);
        }
        if (!now.equals(wanted)) {
            return new Now.Not("podman has " + now + " where " + wanted + " is to be");
        }
        return new Now.Settled(new State(containers, registered.get(), now, lastEvent));
    }

    /** Checks all that the round may and may not have done; returns how it is for the next one. Fails with all of it in one line. */
    State check(Expectation expected, State now, Starts starts) {
        List<JsonNode> events = world.eventsAfter(lastEvent);
        RoundEvents of = new RoundEvents(events, touched);
        try {
            untouchedIsUntouched(now.containers());
            same("events of what nobody touched", List.of(), of.ofOthers());
            between("agent_started", starts.least(), starts.most(), of.count("agent_started"));
            same("runtime_available", of.count("runtime_unavailable"), of.count("runtime_available"));
            same("what was told twice", Set.of(), of.repeated());
            switch (expected.act()) {
                case RESTART -> checkRestart(expected, now, of);
                case CRASH -> {
                    same("exited", 1L, of.count("exited"));
                    same("begins", 1L, of.begins());
                }
                case SWITCH -> checkSwitch(expected, now, of);
                case DEPLOY -> checkDeploy(expected, now, of);
                case GUEST -> checkGuest(expected, now, of);
                case NOTHING -> {}
            }
        } catch (AssertionError e) {
            throw new AssertionError(e.getMessage() + "; done: " + expected.done() + "; events: " + of, e);
        }
        return after(events, now);
    }

    /**
     * Checks what holds also where the registry was lost with what the round did, and an operator has brought back what should be: the
     * snapshot may be of before the agent took note of the round's first run.
     */
    State checkLoss(FaultRun.Act act, State now) {
        List<JsonNode> events = world.eventsAfter(lastEvent);
        RoundEvents of = new RoundEvents(events, touched);
        try {
            untouchedIsUntouched(now.containers());
            same("events of what nobody touched", List.of(), of.ofOthers());
            same("agent_started", 1L, of.count("agent_started"));
            same("registry_restored", 1L, of.count("registry_restored"));
            switch (act) {
                case RESTART, CRASH -> {
                    String component = FaultWorld.MORTAL + "/web";
                    Node.Container c = in(now.containers(), component);
                    same("its instance", before(component).id(), c.id());
                    boolean began = !c.startedAt().equals(before(component).startedAt());
                    between("begins", 0, began ? 1 : 0, of.begins());
                }
                case DEPLOY -> {
                    same(
                            "images of one deploy",
                            now.image(),
                            in(now.registered(), FaultWorld.MOVED + "/b").image());
                    for (String component : List.of(FaultWorld.MOVED + "/a", FaultWorld.MOVED + "/b")) {
                        same(
                                component + "'s image",
                                now.image(),
                                in(now.containers(), component).image());
                    }
                }
                case SWITCH, GUEST, NOTHING -> {}
            }
        } catch (AssertionError e) {
            throw new AssertionError(e.getMessage() + "; events: " + of, e);
        }
        return after(events, now);
    }

    private State after(List<JsonNode> events, State now) {
        long last = events.stream().mapToLong(e -> e.get("id").asLong()).max().orElse(lastEvent);
        return new State(now.containers(), now.registered(), now.belongings(), last);
    }

    private static void same(String what, Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError("%s: expected %s, found %s".formatted(what, expected, found));
        }
    }

    private static void between(String what, long least, long most, long found) {
        if (found < least || found > most) {
            throw new AssertionError("%s: expected %d to %d, found %d".formatted(what, least, most, found));
        }
    }

    private void untouchedIsUntouched(Map<String, Node.Container> now) {
        Set<String> all = new TreeSet<>(before.keySet());
        all.addAll(now.keySet());
        for (String component : all) {
            if (!component.startsWith(touched + "/")) {
                same(
                        component + ", which nobody touched",
                        Optional.ofNullable(before.get(component)),
                        Optional.ofNullable(now.get(component)));
            }
        }
    }

    private void checkRestart(Expectation expected, State now, RoundEvents of) {
        String component = FaultWorld.MORTAL + "/web";
        same(
                "its instance",
                before(component).id(),
                in(now.containers(), component).id());
        boolean began = !in(now.containers(), component)
                .startedAt()
                .equals(before(component).startedAt());
        between("runs that began", expected.done() ? 1 : 0, 1, began ? 1 : 0);
        same("begins", began ? 1L : 0L, of.begins());
        same("exited, though the end was on request", 0L, of.count("exited"));
    }

    private void checkSwitch(Expectation expected, State now, RoundEvents of) {
        boolean changed = now.switchedOn() != switchedBefore;
        between("changes", expected.done() ? 1 : 0, 1, changed ? 1 : 0);
        same("desired_changed", changed ? 1L : 0L, of.count("desired_changed"));
        same("begins", changed && now.switchedOn() ? 1L : 0L, of.begins());
        same("stopped", changed && !now.switchedOn() ? 1L : 0L, of.count("stopped"));
        same("exited, though the end was on request", 0L, of.count("exited"));
    }

    private void checkDeploy(Expectation expected, State now, RoundEvents of) {
        boolean committed = !now.image().equals(movedBefore);
        between("commits", expected.done() ? 1 : 0, 1, committed ? 1 : 0);
        for (String component : List.of(FaultWorld.MOVED + "/a", FaultWorld.MOVED + "/b")) {
            same(
                    component + "'s registered image",
                    now.image(),
                    in(now.registered(), component).image());
            same(
                    component + "'s image",
                    now.image(),
                    in(now.containers(), component).image());
            if (!committed) {
                same(
                        component + "'s instance",
                        before(component).id(),
                        in(now.containers(), component).id());
            }
        }
        checkDeployEvents(of, committed);
    }

    /** A deploy that was begun is told by one event, however it ended; one that never was by none. */
    private static void checkDeployEvents(RoundEvents of, boolean committed) {
        same("deployed or rolled_forward", committed ? 1L : 0L, of.count("deployed") + of.count("rolled_forward"));
        between(
                "rolled_back or deploy_failed",
                0,
                committed ? 0 : 1,
                of.count("rolled_back") + of.count("deploy_failed"));
        same(
                "events of a deploy's components",
                0L,
                of.begins() + of.count("exited") + of.count("stopped") + of.count("removed"));
    }

    private void checkGuest(Expectation expected, State now, RoundEvents of) {
        boolean is = now.guestThere();
        if (expected.done()) {
            same("whether it is there", expected.on(), is);
        }
        same("purged", guestBefore && !is ? 1L : 0L, of.count("purged"));
        same("exited or removed", 0L, of.count("exited") + of.count("removed"));
        if (!guestBefore) {
            checkDeployEvents(of, is);
        }
    }
}
