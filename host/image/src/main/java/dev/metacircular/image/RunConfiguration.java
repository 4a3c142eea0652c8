package dev.metacircular.image;

import java.security.SecureRandom;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What one run is told beside its image; a VMM passes its text form as the initrd.
 *
 * @param arguments appended to the manifest's
 * @param environment replaces the manifest's variables of the same name; may hold secrets
 * @param wallTime time when the VMM is started, not before 1970
 * @param seed for the kernel's generator
 * @param address of the guest's network interface; asked of DHCP when empty
 * @param names where the guest asks for names; where there is no server those that DHCP tells
 */
public record RunConfiguration(
        List<String> arguments,
        Map<String, String> environment,
        Instant wallTime,
        Seed seed,
        Optional<Address> address,
        Names names) {
    /** Of a guest that asks DHCP for its address. */
    public RunConfiguration(List<String> arguments, Map<String, String> environment, Instant wallTime, Seed seed) {
        this(arguments, environment, wallTime, seed, Optional.empty());
    }

    /** Of a guest that learns its name servers from DHCP, or has none. */
    public RunConfiguration(
            List<String> arguments,
            Map<String, String> environment,
            Instant wallTime,
            Seed seed,
            Optional<Address> address) {
        this(arguments, environment, wallTime, seed, address, Names.NONE);
    }

    private static final String IP = "(?:(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)(?:\\.(?!/| |$)|(?=/| |$))){4}";

    /**
     * An IPv4 address with its network and gateway.
     *
     * @param text {@code 10.0.0.2/24}, or {@code 10.0.0.2/24 10.0.0.1} with a gateway
     */
    public record Address(String text) {
        private static final Pattern FORM = Pattern.compile(IP + "/(?:[12]?\\d|3[0-2])(?: " + IP + ")?");

        public Address {
            if (!FORM.matcher(text).matches()) {
                throw new ImageException(
                        "'%s' is no address of a guest: 10.0.0.2/24, or with a gateway 10.0.0.2/24 10.0.0.1."
                                .formatted(text));
            }
        }
    }

    /**
     * Name servers and where short names are looked for first.
     *
     * @param servers their IPv4 addresses in the order in which they are asked, three at most
     * @param search a domain such as {@code dns.podman}
     */
    public record Names(List<String> servers, Optional<String> search) {
        /** Of a guest to which nobody names a server. */
        public static final Names NONE = new Names(List.of(), Optional.empty());

        private static final int MAX_SERVERS = 3;
        private static final Pattern SERVER = Pattern.compile("(?!0+\\.|22[4-9]|2[3-5]\\d)" + IP);
        private static final Pattern DOMAIN = Pattern.compile("(?=.{1,253}$)[\\w-]{1,63}(?:\\.[\\w-]{1,63})*");

        public Names {
            servers = List.copyOf(servers);
            if (servers.size() > MAX_SERVERS) {
                throw new ImageException("A guest asks %d name servers at most, not %d: name fewer."
                        .formatted(MAX_SERVERS, servers.size()));
            }
            for (String server : servers) {
                if (!SERVER.matcher(server).matches()) {
                    throw new ImageException("'%s' is no address of a name server: 10.0.0.53.".formatted(server));
                }
            }
            search.filter(domain -> !DOMAIN.matcher(domain).matches()).ifPresent(domain -> {
                throw new ImageException("'%s' is no domain to search: dns.podman.".formatted(domain));
            });
        }
    }

    /**
     * 32 bytes from a secure random number generator.
     *
     * @param hex their 64 lower-case hexadecimal digits
     */
    public record Seed(String hex) {
        private static final int BYTES = 32;
        private static final Pattern HEX = Pattern.compile("[0-9a-f]{64}");

        public Seed {
            if (!HEX.matcher(hex).matches()) {
                throw new ImageException("The seed takes 64 lower-case hexadecimal digits.");
            }
        }

        /** A seed that nobody knows. */
        public static Seed random() {
            byte[] bytes = new byte[BYTES];
            new SecureRandom().nextBytes(bytes);
            return new Seed(HexFormat.of().formatHex(bytes));
        }

        @Override
        public String toString() {
            return "Seed[…]";
        }
    }

    private static final TextForm FORM = new TextForm("run-time configuration", "ukernel-config 1");

    public RunConfiguration {
        arguments = List.copyOf(arguments);
        environment = Collections.unmodifiableMap(new LinkedHashMap<>(environment));
        if (wallTime.isBefore(Instant.EPOCH)) {
            throw new ImageException("The clock says %s, before 1970: set it.".formatted(wallTime));
        }
        for (String name : environment.keySet()) {
            if (name.isEmpty() || name.indexOf('=') >= 0) {
                throw new ImageException("'%s' cannot be the name of an environment variable.".formatted(name));
            }
        }
    }

    /** The text form, UTF-8. */
    public byte[] toBytes() {
        List<TextForm.Line> lines = known();
        long nanos = Math.addExact(Math.multiplyExact(wallTime.getEpochSecond(), 1_000_000_000L), wallTime.getNano());
        lines.add(new TextForm.Line(lines.size() + 2, "wall_ns", Long.toString(nanos)));
        lines.add(new TextForm.Line(lines.size() + 2, "seed", seed.hex()));
        address.ifPresent(given -> lines.add(new TextForm.Line(lines.size() + 2, "address", given.text())));
        names.servers().forEach(server -> lines.add(new TextForm.Line(lines.size() + 2, "nameserver", server)));
        names.search().ifPresent(domain -> lines.add(new TextForm.Line(lines.size() + 2, "search", domain)));
        return FORM.write(lines);
    }

    /**
     * The beginning of the text form, with arguments and variables: for one who starts the VMM later, and adds the lines that only the start
     * knows.
     */
    public byte[] toPreparedBytes() {
        return FORM.write(known());
    }

    private List<TextForm.Line> known() {
        List<TextForm.Line> lines = new ArrayList<>();
        arguments.forEach(argument -> lines.add(new TextForm.Line(lines.size() + 2, "arg", argument)));
        environment.forEach((name, value) -> lines.add(new TextForm.Line(lines.size() + 2, "env", name + "=" + value)));
        return lines;
    }

    /** Names what it holds and never a value: arguments and variables may be secrets. */
    @Override
    public String toString() {
        return "RunConfiguration[%d arguments, variables %s]".formatted(arguments.size(), environment.keySet());
    }
}
