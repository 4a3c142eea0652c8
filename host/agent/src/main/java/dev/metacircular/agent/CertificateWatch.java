package dev.metacircular.agent;

import dev.metacircular.model.Name;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** Renews the server's certificate while the agent runs, and tells in time when the node's own authority ends. */
final class CertificateWatch {
    /** So long before its end the authority's is told, and again each week. */
    static final Duration AUTHORITY_TOLD_BEFORE = Duration.ofDays(90);

    private static final Duration TOLD_AGAIN = Duration.ofDays(7);

    private final Name node;
    private final Pki pki;
    private final ServerIdentity identity;
    private final EventLog events;
    private final Clock clock;
    private Optional<Instant> told = Optional.empty();

    CertificateWatch(Name node, Pki pki, ServerIdentity identity, EventLog events, Clock clock) {
        this.node = node;
        this.pki = pki;
        this.identity = identity;
        this.events = events;
        this.clock = clock;
    }

    synchronized void look() throws IOException {
        Instant now = clock.instant();
        if (pki.renewIfDue(node, now)) {
            identity.change(pki.shown());
            events.node(EventLog.Kind.CERTIFICATE_RENEWED, "the server's certificate now ends on " + pki.serverEnds());
        }
        Instant ends = pki.authorityEnds();
        boolean due = told.isEmpty() || !now.isBefore(told.get().plus(TOLD_AGAIN));
        if (due && ends.isBefore(now.plus(AUTHORITY_TOLD_BEFORE))) {
            told = Optional.of(now);
            events.node(
                    EventLog.Kind.AUTHORITY_ENDS,
                    "the node's certificate authority ends on " + ends + ", and nobody can connect after that: stop"
                            + " the agent, mcp-agent renew-ca --dir DIR, start it, then mcp node trust " + node
                            + " for each client");
        }
    }
}
