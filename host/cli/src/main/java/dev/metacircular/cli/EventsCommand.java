package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.definition.Parsed;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import java.nio.file.Files;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** {@code mcp events}: the event logs of all nodes, merged by time; following, each event as its node tells it. */
final class EventsCommand implements Command {
    private static final int FOLLOW_TAIL = 10;
    /** The most that one node may tell, counted with what an event takes in memory besides its text. */
    private static final long MAX_BYTES = 16 << 20;

    private static final int EVENT_BYTES = 200;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "events", "Shows what happened on the nodes, oldest first; docs/events.md lists the kinds of events.");
        spec.addPositional(Models.optional(0, "SERVICE[/COMPONENT]", "Only of this service or component."));
        spec.addOption(Models.flag(
                "--follow",
                "Go on as more happens, until interrupted, or as long as --timeout says; begins with the last 10 events"
                        + " unless --since or --tail say otherwise."));
        spec.addOption(
                Models.value("--since", "TIME", "Not older than this: 90s, 10m, 2h, 1d12h, or 2026-01-31T12:00:00Z."));
        spec.addOption(Models.value("--until", "TIME", "Older than this."));
        spec.addOption(OptionSpec.builder("--kind")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .splitRegex(",")
                .paramLabel("KIND")
                .description("Only of this kind; several times, or separated by commas.")
                .build());
        spec.addOption(Models.value("--tail", "N", "At most the last N events of each node."));
        spec.addOption(Models.value("--node", "NODE", "Only this node's."));
        return spec;
    }

    /** An event and the node that tells it. */
    record Told(String node, Event event) {}

    @Override
    public int run(Arguments arguments, Session session) {
        boolean follow = arguments.flag("--follow");
        EventsRequest request = request(arguments, session, follow);
        Optional<Target> target = arguments.target(0);
        if (follow) {
            return new EventFollower(session, request)
                    .follow(
                            View.nodes(session, arguments.name("--node")),
                            () -> target.ifPresent(t -> requireKnown(session, arguments, t)));
        }
        View<List<Event>> view = View.ask(session, arguments, stub -> all(stub.events(request)), _ -> List.of());
        List<Told> told = new ArrayList<>();
        view.forEach((node, events) -> events.forEach(e -> told.add(new Told(node, e))));
        told.sort(Comparator.comparingLong(t -> t.event().getTimeMs()));
        told.forEach(t -> print(session, t));
        session.out().flush();
        if (told.isEmpty() && view.exitStatus() == ExitStatus.DONE) {
            target.ifPresent(t -> requireKnown(session, arguments, t));
        }
        view.complain();
        return view.exitStatus();
    }

    /**
     * Refuses a name that nobody knows: no definition here, no registration and no event of any node that is left of it. Where a node
     * does not answer, nothing is refused.
     */
    private static void requireKnown(Session session, Arguments arguments, Target target) {
        if (isDefined(session.definitions(), target)) {
            return;
        }
        EventsRequest one = EventsRequest.newBuilder()
                .setService(target.service().value())
                .setComponent(target.component().map(Name::value).orElse(""))
                .setTail(1)
                .build();
        ListRequest registered =
                ListRequest.newBuilder().setService(target.service().value()).build();
        boolean known = Nodes.ask(
                        session,
                        View.nodes(session, arguments.name("--node")),
                        stub -> stub.events(one).hasNext()
                                || stub.list(registered).getComponentsList().stream()
                                        .anyMatch(c -> c.getService()
                                                        .equals(target.service().value())
                                                && target.includes(Name.of(c.getComponent()))))
                .stream()
                .anyMatch(a -> !(a instanceof Nodes.Answer.Given<Boolean>(Name _, Boolean knows)) || knows);
        if (!known) {
            throw Problem.of(
                            Problem.Kind.NOT_FOUND,
                            "nothing of the name '" + target
                                    + "' is known: no definition, no registration and no event that is left")
                    .next("mcp list shows what is registered, mcp events without a name all events")
                    .exception();
        }
    }

    private static boolean isDefined(ServiceDefinitions definitions, Target target) {
        return Files.exists(definitions.file(target.service()))
                && (!(definitions.read(target.service()) instanceof Parsed.Valid<Service>(Service service))
                        || target.component().isEmpty()
                        || service.find(target.component().get()).isPresent());
    }

    private static List<Event> all(Iterator<Event> events) {
        List<Event> all = new ArrayList<>();
        long bytes = 0;
        while (events.hasNext()) {
            Event event = events.next();
            bytes += EVENT_BYTES + event.getSerializedSize();
            if (bytes > MAX_BYTES) {
                throw Nodes.unreadable("more events than a node keeps").exception();
            }
            all.add(event);
        }
        return all;
    }

    private static EventsRequest request(Arguments arguments, Session session, boolean follow) {
        Optional<Target> target = arguments.target(0);
        EventsRequest.Builder request = EventsRequest.newBuilder()
                .setService(target.map(t -> t.service().value()).orElse(""))
                .setComponent(target.flatMap(Target::component).map(Name::value).orElse(""))
                .addAllKinds(arguments.parsed().matchedOptionValue("--kind", List.<String>of()))
                .setFollow(follow);
        Instant now = session.clock().instant();
        arguments
                .text("--since")
                .ifPresent(
                        s -> request.setSinceMs(Times.parse(s, now, "--since").toEpochMilli()));
        arguments
                .text("--until")
                .ifPresent(
                        s -> request.setUntilMs(Times.parse(s, now, "--until").toEpochMilli()));
        if (follow && arguments.text("--until").isPresent()) {
            throw Problem.of(Problem.Kind.INVALID, "--follow goes on, so it has no --until")
                    .next("leave out one of the two")
                    .exception();
        }
        arguments.text("--tail").ifPresent(t -> request.setTail(tail(t)));
        if (follow
                && arguments.text("--tail").isEmpty()
                && arguments.text("--since").isEmpty()) {
            request.setTail(FOLLOW_TAIL);
        }
        return request.build();
    }

    private static int tail(String text) {
        if (!text.matches("[0-9]{1,8}")) {
            throw Problem.of(Problem.Kind.INVALID, "'" + text + "' is not a number of events: expected 0 to 99999999")
                    .at("--tail")
                    .next("give --tail 20, for example")
                    .exception();
        }
        return Integer.parseInt(text);
    }

    static void print(Session session, Told told) {
        session.out().println(session.json() ? Json.write(json(told.node(), told.event())) : line(told));
    }

    static Object json(String node, Event e) {
        return Json.object(
                "time",
                Instant.ofEpochMilli(e.getTimeMs()).toString(),
                "node",
                node,
                "service",
                e.getService(),
                "component",
                e.getComponent(),
                "kind",
                e.getKind(),
                "message",
                e.getMessage(),
                "id",
                e.getId(),
                "net",
                e.getNet());
    }

    private static String line(Told told) {
        Event e = told.event();
        String subject = e.getComponent().isEmpty() ? e.getService() : e.getService() + "/" + e.getComponent();
        return "%s  %-8s  %-20s  %-19s  %s"
                .formatted(
                        Instant.ofEpochSecond(Math.floorDiv(e.getTimeMs(), 1_000L)),
                        told.node(),
                        subject.isEmpty() ? "-" : Text.printable(subject),
                        Text.printable(e.getKind()),
                        message(e))
                .stripTrailing();
    }

    static String message(Event e) {
        return (e.getNet() ? "(net) " : "") + Text.printable(e.getMessage());
    }
}
