package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;

/**
 * Secrets' values, each in a file of mode 0600 in the agent's directory, apart from the registry and its snapshots. A file is
 * {@code 1 <version> <milliseconds>}, a line break and the value. The version is a random number: it tells that a value is another one, and
 * nothing about it.
 */
final class SecretStore {
    static final int MAX_VALUE_BYTES = 64 << 10;
    static final int MAX_OF_SERVICE = 100;
    private static final String FORMAT = "1";
    private static final String NEW = ".new";
    private static final Pattern NAME = Pattern.compile("[A-Za-z_][A-Za-z0-9_]{0,127}");
    private static final Pattern HEAD = Pattern.compile("1 (?<version>[0-9a-f]{32}) (?<at>[0-9]{1,15})");
    private static final int HEAD_BYTES = 64;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Path directory;
    private final Clock clock;
    private final Map<Name, SortedMap<String, Known>> services = new ConcurrentHashMap<>();

    /** That a value is set, and nothing of it. */
    record Known(String name, String version, Instant setAt) {}

    /** @param directory of the store's own; made where it is missing */
    SecretStore(Path directory, Clock clock) throws IOException {
        this.directory = directory;
        this.clock = clock;
        makePrivate(directory);
        try (DirectoryStream<Path> all = Files.newDirectoryStream(directory)) {
            for (Path service : all) {
                String name = service.getFileName().toString();
                if (Name.isValid(name)) {
                    services.put(Name.of(name), read(service));
                }
            }
        }
    }

    private static void makePrivate(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            Files.createDirectory(
                    folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        }
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    }

    private static SortedMap<String, Known> read(Path folder) throws IOException {
        SortedMap<String, Known> all = new TreeMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                if (name.startsWith(NEW)) {
                    Files.delete(file);
                } else if (NAME.matcher(name).matches()) {
                    all.put(name, head(name, Files.readAllBytes(file)));
                }
            }
        }
        return all;
    }

    private static Known head(String name, byte[] content) throws IOException {
        int end = 0;
        while (end < Math.min(content.length, HEAD_BYTES) && content[end] != '\n') {
            end++;
        }
        var head = HEAD.matcher(new String(content, 0, end, StandardCharsets.US_ASCII));
        if (end == content.length || !head.matches()) {
            throw new IOException("the secret " + name + " is not in this version's format");
        }
        return new Known(name, head.group("version"), Instant.ofEpochMilli(Long.parseLong(head.group("at"))));
    }

    static String checkedName(String name) {
        if (!NAME.matcher(name).matches()) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            "that is no name of a secret: expected 1 to 128 letters, digits and _, not beginning with a digit")
                    .next("take the name of the environment variable, such as DB_PASSWORD")
                    .exception();
        }
        return name;
    }

    /**
     * Sets or replaces a value, for instances that are made from now on.
     *
     * @param value UTF-8 without NUL, for it is to be an environment variable; of 1 byte to 64 KiB
     */
    synchronized void set(Name service, String name, byte[] value) {
        checkedName(name);
        checkValue(name, value);
        SortedMap<String, Known> known = new TreeMap<>(services.getOrDefault(service, new TreeMap<>()));
        if (known.size() >= MAX_OF_SERVICE && !known.containsKey(name)) {
            throw Problem.of(Problem.Kind.EXHAUSTED, "the service has " + MAX_OF_SERVICE + " secrets already")
                    .at(service.value())
                    .next("mcp secret remove " + service + " NAME")
                    .exception();
        }
        byte[] random = new byte[16];
        RANDOM.nextBytes(random);
        String version = HexFormat.of().formatHex(random);
        Instant now = Instant.ofEpochMilli(clock.millis());
        try {
            Path folder = directory.resolve(service.value());
            makePrivate(folder);
            Path fresh = folder.resolve(NEW);
            Files.deleteIfExists(fresh);
            Files.createFile(fresh, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            try (FileChannel channel = FileChannel.open(fresh, StandardOpenOption.WRITE)) {
                String head = FORMAT + " " + version + " " + now.toEpochMilli() + "\n";
                channel.write(ByteBuffer.wrap(head.getBytes(StandardCharsets.US_ASCII)));
                ByteBuffer body = ByteBuffer.wrap(value);
                while (body.hasRemaining()) {
                    channel.write(body);
                }
                channel.force(true);
            }
            Files.move(fresh, folder.resolve(name), StandardCopyOption.ATOMIC_MOVE);
            flush(folder);
        } catch (IOException e) {
            throw failed("stored", service, e);
        }
        known.put(name, new Known(name, version, now));
        services.put(service, known);
    }

    private static void checkValue(String name, byte[] value) {
        String fault = value.length == 0
                ? "is empty"
                : value.length > MAX_VALUE_BYTES ? "is longer than " + MAX_VALUE_BYTES + " bytes" : "";
        for (byte b : value) {
            if (b == 0) {
                fault = "has a NUL, which no environment variable can hold: encode it, such as by base64";
            }
        }
        try {
            var _ = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value));
        } catch (CharacterCodingException e) {
            fault = "is not UTF-8: encode it, such as by base64";
        }
        if (!fault.isEmpty()) {
            throw Problem.of(Problem.Kind.INVALID, "the value of " + name + " " + fault)
                    .at(name)
                    .next("mcp secret set SERVICE " + name + " < FILE, with another value")
                    .exception();
        }
    }

    private static void flush(Path folder) throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    private static RuntimeException failed(String verb, Name service, IOException e) {
        return Problem.of(Problem.Kind.FAILED, "the secret cannot be " + verb + ": " + Main.describe(e))
                .at(service.value())
                .next("look at the disk and the rights of the agent's directory on the node: mcp doctor")
                .exception();
    }

    List<Known> list(Name service) {
        return List.copyOf(services.getOrDefault(service, new TreeMap<>()).values());
    }

    /** @throws dev.metacircular.model.ProblemException {@code NOT_FOUND} if there is none */
    synchronized void remove(Name service, String name) {
        SortedMap<String, Known> known = new TreeMap<>(services.getOrDefault(service, new TreeMap<>()));
        if (known.remove(checkedName(name)) == null) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "there is no secret " + name)
                    .at(service.value())
                    .next("mcp secret list " + service)
                    .exception();
        }
        Path folder = directory.resolve(service.value());
        try {
            Files.deleteIfExists(folder.resolve(name));
            flush(folder);
            if (known.isEmpty()) {
                services.remove(service);
                Files.deleteIfExists(folder);
            } else {
                services.put(service, known);
            }
        } catch (IOException e) {
            throw failed("removed", service, e);
        }
    }

    /** @return the names of those that there were */
    synchronized List<String> removeAll(Name service) {
        List<String> names = list(service).stream().map(Known::name).toList();
        names.forEach(n -> remove(service, n));
        return names;
    }

    /** Which of the component's secrets are not set. */
    List<String> missing(Name service, Component component) {
        SortedMap<String, Known> known = services.getOrDefault(service, new TreeMap<>());
        return component.secrets().stream().filter(s -> !known.containsKey(s)).toList();
    }

    /**
     * What an instance is given.
     *
     * @param values name to value
     * @param digest what the instance is to bear: of its document and the versions of its secrets
     */
    record Given(Map<String, String> values, String digest) {
        @Override
        public String toString() {
            return "Given[" + values.keySet() + "]";
        }
    }

    /** @throws dev.metacircular.model.ProblemException {@code NOT_FOUND} if one is not set */
    synchronized Given give(ComponentId id, Component component, String documentDigest) {
        requireSet(id, component);
        Map<String, String> values = new LinkedHashMap<>();
        for (String name : component.secrets()) {
            try {
                byte[] content = Files.readAllBytes(
                        directory.resolve(id.service().value()).resolve(name));
                int start = 1;
                while (content[start - 1] != '\n') {
                    start++;
                }
                values.put(name, new String(content, start, content.length - start, StandardCharsets.UTF_8));
            } catch (NoSuchFileException e) {
                throw notSet(id, name);
            } catch (IOException e) {
                throw failed("read", id.service(), e);
            }
        }
        return new Given(values, digest(id, component, documentDigest));
    }

    /** Refuses a component of which a secret is not set, naming it and what sets it. */
    void requireSet(ComponentId id, Component component) {
        Optional<String> first = missing(id.service(), component).stream().findFirst();
        if (first.isPresent()) {
            throw notSet(id, first.get());
        }
    }

    private static RuntimeException notSet(ComponentId id, String name) {
        return Problem.of(Problem.Kind.NOT_FOUND, "its secret " + name + " is not set on this node")
                .at(id.toString())
                .next("mcp secret set " + id.service() + " " + name)
                .exception();
    }

    /**
     * What an instance bears that was made from this document and the present values of its secrets; the document's own digest
     * where it names none. So a value that was replaced is drift of {@code config}, and a deploy takes it up.
     */
    String digest(ComponentId id, Component component, String documentDigest) {
        if (component.secrets().isEmpty()) {
            return documentDigest;
        }
        SortedMap<String, Known> known = services.getOrDefault(id.service(), new TreeMap<>());
        List<String> parts = new ArrayList<>(List.of(documentDigest));
        component.secrets().stream()
                .sorted()
                .forEach(s -> parts.add(s + "="
                        + Optional.ofNullable(known.get(s)).map(Known::version).orElse("-")));
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256")
                            .digest(String.join("\n", parts).getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }
}
