package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.UserIds;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Who a container's command runs as: the user of its specification, else of its image, as the container's own {@code /etc/passwd} and
 * {@code /etc/group} tell it (OCI image specification, "config.User").
 */
final class ContainerUser {
    private static final UserIds ROOT = new UserIds(0, 0);
    private static final String NUMBER = "[0-9]{1,10}";
    private static final int NAME = 0;
    private static final int ID = 2;
    private static final int GROUP = 3;

    private final Libpod libpod;
    private final Containers containers;

    ContainerUser(Libpod libpod, Containers containers) {
        this.libpod = libpod;
        this.containers = containers;
    }

    /** Empty for a name that the container does not know, with which it will not start. */
    Optional<UserIds> of(InstanceId id) {
        String purpose = "ask for the user of " + Containers.shortly(id);
        String user =
                containers.inspect(purpose, id).path("Config").path("User").asText("");
        return resolve(user, path -> file(purpose, id, path));
    }

    static Optional<UserIds> resolve(String text, Function<String, String> files) {
        String[] parts = text.split(":", 2);
        String user = parts[0];
        boolean root = user.isEmpty() || user.equals("0") || user.equals("root");
        if (root && parts.length == 1) {
            return Optional.of(ROOT);
        }
        Optional<String[]> account = root ? Optional.empty() : entry(files.apply("/etc/passwd"), user, GROUP + 1);
        Optional<Long> uid = root
                ? Optional.of(0L)
                : account.map(a -> a[ID]).or(() -> number(user)).map(Long::valueOf);
        Optional<Long> gid = parts.length == 1
                ? Optional.of(account.map(a -> Long.valueOf(a[GROUP])).orElse(0L))
                : entry(files.apply("/etc/group"), parts[1], ID + 1)
                        .map(g -> g[ID])
                        .or(() -> number(parts[1]))
                        .map(Long::valueOf);
        return uid.flatMap(u -> gid.map(g -> new UserIds(u, g)));
    }

    private static Optional<String> number(String text) {
        return Optional.of(text).filter(t -> t.matches(NUMBER));
    }

    /** The first line of that name, or of that number. */
    private static Optional<String[]> entry(String table, String wanted, int fields) {
        List<String[]> entries = table.lines()
                .map(l -> l.split(":", -1))
                .filter(e -> e.length >= fields
                        && Stream.of(e).skip(ID).limit(fields - ID).allMatch(n -> n.matches(NUMBER)))
                .toList();
        return entries.stream()
                .filter(e -> e[NAME].equals(wanted))
                .findFirst()
                .or(() -> entries.stream().filter(e -> e[ID].equals(wanted)).findFirst());
    }

    /** A file of the container's; empty if it has none of that name. */
    private String file(String purpose, InstanceId id, String path) {
        try {
            Request request = Request.get(purpose, Libpod.path("/containers/{}/archive?path={}", id.value(), path));
            return new String(Tar.firstFile(libpod.file(request)), StandardCharsets.UTF_8);
        } catch (RuntimeFailure e) {
            if (e.kind() == Kind.NOT_FOUND) {
                return "";
            }
            throw e;
        }
    }
}
