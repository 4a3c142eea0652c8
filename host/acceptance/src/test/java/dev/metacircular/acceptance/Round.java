package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

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
     * @param image what a deploy was to bring
     * @param on whether the switched component, or the guest, is to be there afterwards
     */
    record Expectation(FaultRun.Act act, boolean done, String image, boolean on) {
        static Expectation nothing() {
            return new Expectation(FaultRun.Act.NOTHING, true, "", true);
        }

        static Expectation deploy(boolean done, String image) {
            return new Expectation(FaultRun.Act.DEPLOY, done, image, true);
        }

        static Expectation restart(boolean done) {
            return new Expectation(FaultRun.Act.RESTART, done, "", true);
        }

        static Expectation crash() {
            return new Expectation(FaultRun.Act.CRASH, true, "", true);
        }

        static Expectation flip(boolean done, boolean on) {
            return new Expectation(FaultRun.Act.SWITCH, done, "", on);
        }

        static Expectation guest(boolean done, boolean there) {
            return new Expectation(FaultRun.Act.GUEST, done, "", there);
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

    /** Checks all that the round may and may not have done; returns how it is for the next one. */
    State check(Expectation expected, State now, Starts starts) {
        List<JsonNode> events = world.eventsAfter(lastEvent);
        String told = "events\n" + events.stream().map(e -> "  " + e).collect(Collectors.joining("\n"));
        untouchedIsUntouched(now.containers());
        RoundEvents of = new RoundEvents(events, touched);
        assertThat(of.ofOthers()).as("events of what nobody touched").isEmpty();
        assertThat(of.count("agent_started")).as(told).isBetween(starts.least(), starts.most());
        assertThat(of.count("runtime_unavailable")).as(told).isEqualTo(of.count("runtime_available"));
        assertThat(of.repeated()).as("told twice\n" + told).isEmpty();
        switch (expected.act()) {
            case RESTART -> checkRestart(expected, now, of, told);
            case CRASH -> {
                assertThat(of.count("exited")).as(told).isEqualTo(1);
                assertThat(of.begins()).as(told).isEqualTo(1);
            }
            case SWITCH -> checkSwitch(expected, now, of, told);
            case DEPLOY -> checkDeploy(expected, now, of, told);
            case GUEST -> checkGuest(expected, now, of, told);
            case NOTHING -> {}
        }
        long last = events.stream().mapToLong(e -> e.get("id").asLong()).max().orElse(lastEvent);
        return new State(now.containers(), now.registered(), now.belongings(), last);
    }

    private void untouchedIsUntouched(Map<String, Node.Container> now) {
        Map<String, Node.Container> then = new TreeMap<>(before);
        then.values().removeIf(c -> c.service().equals(touched));
        Map<String, Node.Container> others = new TreeMap<>(now);
        others.values().removeIf(c -> c.service().equals(touched));
        assertThat(others).as("what nobody touched").isEqualTo(then);
    }

    private void checkRestart(Expectation expected, State now, RoundEvents of, String told) {
        String component = FaultWorld.MORTAL + "/web";
        assertThat(in(now.containers(), component).id())
                .as(told)
                .isEqualTo(before(component).id());
        boolean began = !in(now.containers(), component)
                .startedAt()
                .equals(before(component).startedAt());
        assertThat(began || !expected.done())
                .as("a restart that was done\n" + told)
                .isTrue();
        assertThat(of.begins()).as(told).isEqualTo(began ? 1 : 0);
        assertThat(of.count("exited")).as("an end on request\n" + told).isZero();
    }

    private void checkSwitch(Expectation expected, State now, RoundEvents of, String told) {
        boolean changed = now.switchedOn() != switchedBefore;
        assertThat(changed || !expected.done()).as("what was done\n" + told).isTrue();
        assertThat(of.count("desired_changed")).as(told).isEqualTo(changed ? 1 : 0);
        assertThat(of.begins()).as(told).isEqualTo(changed && now.switchedOn() ? 1 : 0);
        assertThat(of.count("stopped")).as(told).isEqualTo(changed && !now.switchedOn() ? 1 : 0);
        assertThat(of.count("exited")).as("an end on request\n" + told).isZero();
    }

    private void checkDeploy(Expectation expected, State now, RoundEvents of, String told) {
        boolean committed = !now.image().equals(movedBefore);
        assertThat(committed || !expected.done()).as("what was done\n" + told).isTrue();
        for (String component : List.of(FaultWorld.MOVED + "/a", FaultWorld.MOVED + "/b")) {
            assertThat(in(now.registered(), component).image()).as(told).isEqualTo(now.image());
            assertThat(in(now.containers(), component).image()).as(told).isEqualTo(now.image());
            if (!committed) {
                assertThat(in(now.containers(), component).id())
                        .as(told)
                        .isEqualTo(before(component).id());
            }
        }
        assertThat(of.count("deployed")).as(told).isLessThanOrEqualTo(committed ? 1 : 0);
        assertThat(of.count("deployed") + of.count("rolled_forward"))
                .as(told)
                .isBetween(committed ? 1L : 0L, committed ? 2L : 0L);
        assertThat(of.count("rolled_forward")).as(told).isLessThanOrEqualTo(committed ? 1 : 0);
        assertThat(of.count("rolled_back") + of.count("deploy_failed")).as(told).isLessThanOrEqualTo(committed ? 0 : 1);
        assertThat(of.begins() + of.count("exited") + of.count("stopped") + of.count("removed"))
                .as("a deploy is one event\n" + told)
                .isZero();
    }

    private void checkGuest(Expectation expected, State now, RoundEvents of, String told) {
        boolean was = guestBefore;
        boolean is = now.guestThere();
        assertThat(is == expected.on() || !expected.done())
                .as("what was done\n" + told)
                .isTrue();
        assertThat(of.count("purged")).as(told).isEqualTo(was && !is ? 1 : 0);
        assertThat(of.count("deployed")).as(told).isEqualTo(!was && is ? 1 : 0);
        assertThat(of.count("exited") + of.count("removed")).as(told).isZero();
    }
}
