package dev.metacircular.image;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What an image says about itself in its file {@code /manifest}.
 *
 * @param name the workload's name
 * @param abi the ABI that {@code start} was built for
 * @param adapter {@code native}, {@code linux}, …
 * @param start path in the image of the ELF that the kernel loads and enters
 * @param entry path in the image of the workload's program; equal to {@code start} for {@code native}
 * @param arguments the argument vector, the first is argument 0
 * @param environment variables by name, in the order in which they are passed
 * @param capabilities what the workload may acquire at all
 * @param segments blocks and digest of the kernel's, the adapter's and the workload's data; empty until an image is written
 * @param digests what was packed, by role
 */
public record Manifest(
        String name,
        AbiVersion abi,
        String adapter,
        String start,
        String entry,
        List<String> arguments,
        Map<String, String> environment,
        List<Capability> capabilities,
        Map<Segment.Role, SegmentLine> segments,
        Map<String, Digest> digests) {
    private static final TextForm FORM = new TextForm("manifest", "ukernel-manifest 1");

    /** The segments that the manifest describes. */
    static final List<Segment.Role> DATA_SEGMENTS =
            List.of(Segment.Role.KERNEL, Segment.Role.ADAPTER, Segment.Role.WORKLOAD);

    /** A segment's size in blocks of 4,096 bytes and its digest. */
    public record SegmentLine(long blocks, Digest digest) {}

    public Manifest {
        arguments = List.copyOf(arguments);
        environment = Collections.unmodifiableMap(new LinkedHashMap<>(environment));
        capabilities = List.copyOf(capabilities);
        segments = Map.copyOf(segments);
        digests = Collections.unmodifiableMap(new LinkedHashMap<>(digests));
        requirePath("start", start);
        requirePath("entry", entry);
    }

    private static void requirePath(String key, String path) {
        if (!path.startsWith("/")) {
            throw new ImageException(
                    "The manifest's '%s' is '%s': it must be an absolute path in the image.".formatted(key, path));
        }
    }

    Manifest with(Map<Segment.Role, SegmentLine> newSegments, Map<String, Digest> newDigests) {
        return new Manifest(
                name, abi, adapter, start, entry, arguments, environment, capabilities, newSegments, newDigests);
    }

    /** The text form. */
    byte[] toBytes() {
        List<TextForm.Line> lines = new ArrayList<>();
        add(lines, "name", name);
        add(lines, "abi", abi.toString());
        add(lines, "adapter", adapter);
        add(lines, "start", start);
        add(lines, "entry", entry);
        arguments.forEach(argument -> add(lines, "arg", argument));
        environment.forEach((variable, value) -> add(lines, "env", variable + "=" + value));
        capabilities.forEach(capability -> add(lines, "capability", capability.toString()));
        for (Segment.Role role : DATA_SEGMENTS) {
            SegmentLine segment = segments.get(role);
            if (segment != null) {
                add(lines, "segment", role + " " + segment.blocks() + " " + segment.digest());
            }
        }
        digests.forEach((role, digest) -> add(lines, "digest", role + " " + digest));
        return FORM.write(lines);
    }

    private static void add(List<TextForm.Line> lines, String key, String value) {
        lines.add(new TextForm.Line(lines.size() + 2, key, value));
    }

    /**
     * Reads the text form. Unknown keys are ignored.
     *
     * @throws ImageException naming the line that is wrong, or the key that is missing
     */
    public static Manifest parse(byte[] text) {
        Map<String, String> once = new LinkedHashMap<>();
        List<String> arguments = new ArrayList<>();
        Map<String, String> environment = new LinkedHashMap<>();
        List<Capability> capabilities = new ArrayList<>();
        Map<Segment.Role, SegmentLine> segments = new EnumMap<>(Segment.Role.class);
        Map<String, Digest> digests = new LinkedHashMap<>();
        for (TextForm.Line line : FORM.read(text)) {
            String value = line.value();
            try {
                switch (line.key()) {
                    case "name", "abi", "adapter", "start", "entry" -> {
                        if (once.putIfAbsent(line.key(), value) != null) {
                            throw new ImageException("'%s' stands twice".formatted(line.key()));
                        }
                        if (line.key().equals("abi")) {
                            AbiVersion.parse(value);
                        }
                    }
                    case "arg" -> arguments.add(value);
                    case "env" -> {
                        int equals = value.indexOf('=');
                        if (equals < 1) {
                            throw new ImageException("'%s' is not NAME=VALUE".formatted(value));
                        }
                        environment.put(value.substring(0, equals), value.substring(equals + 1));
                    }
                    case "capability" -> capabilities.add(Capability.parse(value));
                    case "segment" -> segment(value, segments);
                    case "digest" -> {
                        int space = value.indexOf(' ');
                        if (space < 1) {
                            throw new ImageException("'%s' is not a role and a digest".formatted(value));
                        }
                        digests.put(value.substring(0, space), Digest.parse(value.substring(space + 1)));
                    }
                    default -> {}
                }
            } catch (ImageException e) {
                ImageException bad = FORM.bad(line.number(), withoutStop(e));
                bad.initCause(e);
                throw bad;
            }
        }
        return new Manifest(
                mandatory(once, "name"),
                AbiVersion.parse(mandatory(once, "abi")),
                mandatory(once, "adapter"),
                mandatory(once, "start"),
                mandatory(once, "entry"),
                arguments,
                environment,
                capabilities,
                segments,
                digests);
    }

    private static void segment(String value, Map<Segment.Role, SegmentLine> segments) {
        String[] parts = value.split(" ", -1);
        Optional<Segment.Role> role = DATA_SEGMENTS.stream()
                .filter(candidate -> candidate.toString().equals(parts[0]))
                .findFirst();
        if (parts.length != 3 || role.isEmpty() || !parts[1].matches("0|[1-9][0-9]{0,9}")) {
            throw new ImageException("'%s' is not a segment, its number of blocks and its digest".formatted(value));
        }
        if (segments.put(role.get(), new SegmentLine(Long.parseLong(parts[1]), Digest.parse(parts[2]))) != null) {
            throw new ImageException("segment '%s' stands twice".formatted(parts[0]));
        }
    }

    private static String withoutStop(ImageException e) {
        String message = String.valueOf(e.getMessage());
        return message.endsWith(".") ? message.substring(0, message.length() - 1) : message;
    }

    private static String mandatory(Map<String, String> once, String key) {
        String value = once.get(key);
        if (value == null) {
            throw FORM.bad("the line '%s' is missing".formatted(key));
        }
        return value;
    }
}
