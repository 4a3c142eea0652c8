package dev.metacircular.agent;

import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.OneofDescriptor;
import com.google.protobuf.Message;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Makes requests of any type from its descriptor: each field unset, plausible or hostile, so that what the agent adds to its interface is covered
 * without being named here. Equal seeds give equal requests.
 */
final class RandomRequests {
    /** An image that there is, of a program that holds at once. */
    static final String IMAGE = "registry.example:5000/web:v1";

    static final List<String> SERVICES = List.of("shop", "mail", "blog");
    private static final String VALID = "name = \"web\"\nimage = \"" + IMAGE + "\"\nhold_s = 0.01\n";
    private static final List<String> DOCUMENTS = List.of(
            "name = \"web\"\nimage = \"registry.example:5000/none:v2\"\nports = [\"127.0.0.1:18080:8080\"]\nvolumes = [\"data:/data\"]\n",
            "name = \"api\"\nimage = \"registry.example:5000/none:v1\"\nsecrets = [\"PASSWORD\"]\nenv = [\"A=b\"]\nmemory_mb = 64\ncpus = 0.5\n",
            "name = \"w\"\nimage = \"registry.example:5000/none\"\nhealth = {tcp = 80, timeout_s = 1}\nuser = \"1000:1000\"\nrestart = \"on-failure:3\"\n",
            "name = \"vm\"\nruntime = \"unikernel\"\nimage = \"registry.example:5000/none:v1\"\nvcpus = 1\nmemory_mb = 64\n");
    private static final List<String> HOSTILE = List.of(
            "",
            "..",
            "../../etc/passwd",
            "/etc/passwd",
            "a/../../b",
            "a\nb",
            "a\0b",
            "-rf",
            "--",
            "\u202eabc",
            "é",
            "\ud83d\ude00",
            "'; DROP TABLE services; --",
            "%s%n%x",
            "${jndi:x}",
            "[[",
            "\"\"\"",
            "a".repeat(63),
            "a".repeat(64),
            "\u0001".repeat(300),
            "\u20ac".repeat(30_000));
    private static final Map<String, List<String>> PLAUSIBLE = Map.ofEntries(
            Map.entry("service", List.of("shop", "shop", "shop", "shop", "mail", "blog")),
            Map.entry("component", List.of("web", "web", "web", "api", "")),
            Map.entry("name", List.of("shop", "mail", "blog", "web", "PASSWORD", "second")),
            Map.entry("node", List.of("alpha", "alpha", "alpha", "beta")),
            Map.entry("key", List.of("web", "api", "w")),
            Map.entry("value", List.of("running", "stopped", "ignore")),
            Map.entry("desired", List.of("running", "running", "stopped", "ignore")),
            Map.entry("role", List.of("operator", "viewer")),
            Map.entry("path", List.of("a", "data/b.txt", "data", "x/y/z")),
            Map.entry("kinds", List.of("deployed", "exited", "started")),
            Map.entry("command", List.of("true", "echo", "cat", "nonsense")));
    private static final List<Long> SMALL = List.of(0L, 1L, 2L, 80L, 420L);
    private static final List<Long> NUMBERS = List.of(
            0L,
            1L,
            -1L,
            2L,
            80L,
            65_536L,
            (long) Integer.MAX_VALUE,
            (long) Integer.MIN_VALUE,
            Long.MAX_VALUE,
            Long.MIN_VALUE);

    private final Random random;
    private final long generation;
    private final boolean deployable;
    private final boolean mild;

    /**
     * @param generation at which the service was last seen
     * @param deployable whether a component's document may be one that can be carried out
     * @param mild whether most requests are to be such as could be carried out
     */
    RandomRequests(Random random, long generation, boolean deployable, boolean mild) {
        this.random = random;
        this.generation = generation;
        this.deployable = deployable;
        this.mild = mild;
    }

    /** @param first whether it opens a stream: what begins one is the first of its alternatives */
    Message like(Message prototype, boolean first) {
        Message.Builder message = prototype.newBuilderForType();
        for (FieldDescriptor field : prototype.getDescriptorForType().getFields()) {
            OneofDescriptor choice = field.getRealContainingOneof();
            boolean chosen;
            if (choice == null) {
                chosen = random.nextInt(100) < (mild ? 95 : 80);
            } else if (mild && first) {
                chosen = choice.getField(0).equals(field);
            } else {
                chosen = random.nextInt(100) < 40;
            }
            if (chosen) {
                set(message, field);
            }
        }
        return message.build();
    }

    private void set(Message.Builder message, FieldDescriptor field) {
        if (!field.isRepeated()) {
            message.setField(field, value(message, field));
            return;
        }
        int count = random.nextInt(200) == 0 ? 3_000 : mild ? 1 : random.nextInt(4);
        for (int i = 0; i < count; i++) {
            message.addRepeatedField(field, value(message, field));
        }
    }

    private Object value(Message.Builder message, FieldDescriptor field) {
        return switch (field.getJavaType()) {
            case MESSAGE -> like(message.newBuilderForField(field).build(), false);
            case STRING -> text(field.getName());
            case BYTE_STRING -> ByteString.copyFrom(bytes());
            case BOOLEAN -> random.nextBoolean();
            case INT -> (int) number(field.getName());
            case LONG -> number(field.getName());
            case DOUBLE -> random.nextBoolean() ? Double.NaN : random.nextDouble();
            case FLOAT -> random.nextFloat();
            case ENUM ->
                field.getEnumType()
                        .getValues()
                        .get(random.nextInt(field.getEnumType().getValues().size()));
        };
    }

    private long number(String field) {
        if (field.equals("version")) {
            return random.nextInt(10) == 0 ? pick(NUMBERS) : 1;
        }
        if (field.equals("base_generation") && random.nextInt(100) < 80) {
            return generation;
        }
        if (mild) {
            return pick(SMALL);
        }
        return random.nextBoolean() ? pick(NUMBERS) : random.nextLong();
    }

    private String text(String field) {
        if (field.equals("toml")) {
            return document();
        }
        if (field.equals("idempotency_key") && random.nextInt(100) < (mild ? 98 : 80)) {
            return Long.toHexString(random.nextLong());
        }
        List<String> plausible = PLAUSIBLE.get(field);
        return plausible != null && random.nextInt(100) < (mild ? 98 : 75) ? pick(plausible) : pick(HOSTILE);
    }

    private String document() {
        int kind = random.nextInt(10);
        if (kind < 5 && deployable) {
            return VALID;
        }
        if (kind < 8) {
            return pick(DOCUMENTS);
        }
        byte[] changed = mutated(pick(DOCUMENTS).getBytes(StandardCharsets.UTF_8));
        return new String(changed, StandardCharsets.UTF_8);
    }

    private byte[] bytes() {
        byte[] bytes = new byte[random.nextInt(20) == 0 ? 300_000 : random.nextInt(40)];
        if (mild || random.nextBoolean()) {
            Arrays.fill(bytes, (byte) 'v');
        } else {
            random.nextBytes(bytes);
        }
        return bytes;
    }

    /** With some of its bytes changed, left out, doubled or cut off. */
    byte[] mutated(byte[] bytes) {
        byte[] out = bytes.clone();
        for (int i = random.nextInt(4); i >= 0 && out.length > 0; i--) {
            int at = random.nextInt(out.length);
            switch (random.nextInt(4)) {
                case 0 -> out[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> out[at] = (byte) random.nextInt(256);
                case 2 -> out = Arrays.copyOf(out, at);
                default -> {
                    int length = Math.min(out.length - at, 1 + random.nextInt(16));
                    byte[] longer = Arrays.copyOf(out, out.length + length);
                    System.arraycopy(out, at, longer, at + length, out.length - at);
                    out = longer;
                }
            }
        }
        return out;
    }

    byte[] noise() {
        byte[] bytes = new byte[random.nextInt(200)];
        random.nextBytes(bytes);
        return bytes;
    }

    private <T> T pick(List<T> all) {
        return all.get(random.nextInt(all.size()));
    }
}
