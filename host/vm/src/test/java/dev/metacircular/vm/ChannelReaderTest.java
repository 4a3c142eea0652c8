package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class ChannelReaderTest {
    private static final int SLOTS = 64;
    private static final int SLOT_BYTES = 512;

    @TempDir
    Path folder;

    private final AtomicBoolean ended = new AtomicBoolean();

    private Path newChannel() {
        Path path = folder.resolve("channel");
        ChannelFile.create(path, SLOTS);
        return path;
    }

    private ChannelReader follow(Path path) {
        return new ChannelReader(ChannelFile.open(path), ended::get);
    }

    /** Everything up to the end, in short notation. */
    private static List<String> readAll(Path path) throws InterruptedException {
        try (ChannelReader reader = ChannelReader.ofFile(path)) {
            List<String> events = new ArrayList<>();
            while (true) {
                switch (reader.next(Duration.ofSeconds(5)).orElseThrow()) {
                    case ChannelEvent.End() -> {
                        return events;
                    }
                    case ChannelEvent.Lost(long first, long records) -> events.add("lost " + first + "+" + records);
                    case ChannelEvent.Message(ChannelMessage message) -> events.add(shortForm(message));
                }
            }
        }
    }

    private static String shortForm(ChannelMessage message) {
        String mark = message.origin().complete() ? "" : " (incomplete)";
        return switch (message) {
            case ChannelMessage.Log log -> log.level() + " " + log.text() + mark;
            case ChannelMessage.ExitStatus exit -> "exit " + exit.status() + " " + exit.cause() + " " + exit.text();
            case ChannelMessage.BootPhase phase -> "phase " + phase.name() + " " + phase.at();
            case ChannelMessage.Loss loss -> "loss " + loss.messages();
            case ChannelMessage.Fault fault -> "fault " + fault.text();
            case ChannelMessage.Trace trace -> "trace " + trace.entries().size() + (trace.whole() ? "" : " (damaged)");
            case ChannelMessage.Statistics statistics -> "statistics " + statistics.values();
            case ChannelMessage.Latency latency -> "latency " + latency.name() + " " + latency.count();
            case ChannelMessage.Unknown unknown -> "unknown " + unknown.kind() + mark;
        };
    }

    @Test
    void aNewChannelIsSparseAndHasTheHeaderOfTheFormat() throws IOException {
        Path path = newChannel();

        assertThat(Files.size(path)).isEqualTo((SLOTS + 1) * SLOT_BYTES);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "r")) {
            byte[] header = new byte[SLOT_BYTES];
            file.readFully(header);
            assertThat(new String(header, 0, 8, StandardCharsets.US_ASCII)).isEqualTo("UKCHAN01");
            assertThat(header[8]).isEqualTo((byte) SLOTS);
            // CRC-32C of the twelve bytes before, computed apart with the bit-wise definition of RFC 3720, B.4.
            assertThat(ByteBuffer.wrap(header, 12, 4)
                            .order(java.nio.ByteOrder.LITTLE_ENDIAN)
                            .getInt())
                    .isEqualTo(crc32cBitwise(header, 12));
        }
        assertThat((long) Files.getAttribute(ChannelReaderTest.this.largeChannel(), "unix:size"))
                .isEqualTo((262_144 + 1L) * SLOT_BYTES);
    }

    private Path largeChannel() {
        Path path = folder.resolve("large");
        ChannelFile.create(path, 262_144);
        return path;
    }

    private static int crc32cBitwise(byte[] bytes, int length) {
        int crc = ~0;
        for (int i = 0; i < length; i++) {
            crc ^= bytes[i] & 0xff;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc >>> 1) ^ ((crc & 1) == 0 ? 0 : 0x82f63b78);
            }
        }
        return ~crc;
    }

    @Test
    void everyKindIsReadAsTheFormatSays() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path)) {
            writer.message(6, 0, withLong(1_500, "entered ring 3"));
            writer.log(0, "d");
            writer.log(3, "grüß");
            writer.message(3, 0, new byte[16]);
            writer.message(9, 0, new byte[32]);
            writer.message(10, 0, new byte[8 * 43]);
            writer.message(10, 0, new byte[8]);
            writer.message(7, 0, withLong(12, ""));
            writer.message(8, 0, "page fault".getBytes(StandardCharsets.UTF_8));
            writer.message(99, 0, new byte[1]);
            writer.message(2, 0, new byte[4]);
            writer.exit(-3, 1, "done");
        }

        assertThat(readAll(path))
                .containsExactly(
                        "phase entered ring 3 PT0.0000015S",
                        "DEBUG d",
                        "ERROR grüß",
                        "trace 0 (damaged)",
                        "statistics [0, 0, 0]",
                        "latency  0",
                        "unknown 10",
                        "loss 12",
                        "fault page fault",
                        "unknown 99",
                        "unknown 2",
                        "exit -3 VM_EXIT done");
    }

    private static byte[] withLong(long number, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + bytes.length)
                .order(java.nio.ByteOrder.LITTLE_ENDIAN)
                .putLong(number)
                .put(bytes)
                .array();
    }

    @Test
    void aMessageKeepsTimeTaskAndNumber() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path);
                ChannelReader reader = ChannelReader.ofFile(path)) {
            writer.log(1, "x");

            ChannelEvent event = reader.next(Duration.ZERO).orElseThrow();

            assertThat(event)
                    .isEqualTo(new ChannelEvent.Message(new ChannelMessage.Log(
                            new ChannelMessage.Origin(1, Duration.ofNanos(1_000), 7, true),
                            ChannelMessage.Level.INFO,
                            "x")));
        }
    }

    @Test
    void aLongMessageIsPutTogether() throws InterruptedException {
        Path path = newChannel();
        String text = "0123456789".repeat(200);
        try (ChannelWriter writer = new ChannelWriter(path)) {
            writer.log(1, text);
            writer.log(1, "next");
        }

        assertThat(readAll(path)).containsExactly("INFO " + text, "INFO next");
    }

    @Test
    void aMessageThatLostItsMiddleIsShownAsIncomplete() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path)) {
            writer.record(1, 1, 1, ByteBuffer.wrap(new byte[] {'a'}));
            writer.skip(1);
            writer.record(1, 2, 1, ByteBuffer.wrap(new byte[] {'c'}));
        }

        assertThat(readAll(path)).containsExactly("INFO a (incomplete)", "lost 2+1", "INFO c (incomplete)");
    }

    @Test
    void aReaderThatComesLateLearnsHowMuchIsGone() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path)) {
            for (int i = 1; i <= SLOTS + 10; i++) {
                writer.log(1, "m" + i);
            }
        }

        List<String> events = readAll(path);

        assertThat(events.getFirst()).isEqualTo("lost 1+10");
        assertThat(events).hasSize(1 + SLOTS).endsWith("INFO m" + (SLOTS + 10));
        assertThat(events.get(1)).isEqualTo("INFO m11");
    }

    @Test
    void aFollowerSeesEachRecordWhenItIsWritten() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path);
                ChannelReader reader = follow(path)) {
            assertThat(reader.next(Duration.ofMillis(5))).isEmpty();
            writer.log(1, "one");
            assertThat(reader.next(Duration.ofSeconds(5)).map(ChannelReaderTest::textOf))
                    .contains("one");
            assertThat(reader.next(Duration.ofMillis(5))).isEmpty();
            writer.log(1, "two");
            assertThat(reader.next(Duration.ofSeconds(5)).map(ChannelReaderTest::textOf))
                    .contains("two");
            ended.set(true);
            assertThat(reader.next(Duration.ofSeconds(5))).contains(new ChannelEvent.End());
            assertThat(reader.next(Duration.ofSeconds(5))).contains(new ChannelEvent.End());
        }
    }

    private static String textOf(ChannelEvent event) {
        return event instanceof ChannelEvent.Message(ChannelMessage.Log log) ? log.text() : event.toString();
    }

    @Test
    void recordsThatArriveInAnotherOrderAreNotLost() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path);
                ChannelReader reader = follow(path)) {
            writer.nextNumber(2);
            writer.log(1, "two");
            assertThat(reader.next(Duration.ofMillis(20))).isEmpty();
            writer.nextNumber(1);
            writer.log(1, "one");
            assertThat(reader.next(Duration.ofSeconds(5)).map(ChannelReaderTest::textOf))
                    .contains("one");
            assertThat(reader.next(Duration.ofSeconds(5)).map(ChannelReaderTest::textOf))
                    .contains("two");
        }
    }

    @Test
    void aRecordThatNeverArrivesIsGivenUpWhileTheGuestGoesOn() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path);
                ChannelReader reader = follow(path)) {
            writer.skip(2);
            writer.log(1, "three");
            assertThat(reader.next(Duration.ofSeconds(5))).contains(new ChannelEvent.Lost(1, 2));
            assertThat(reader.next(Duration.ofSeconds(5)).map(ChannelReaderTest::textOf))
                    .contains("three");
        }
    }

    @Test
    void aDamagedRecordIsALossAndNotAMessage() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path)) {
            writer.log(1, "one");
            writer.log(1, "two");
            writer.log(1, "three");
            writer.overwrite(2, ByteBuffer.wrap(new byte[] {1, 2, 3, 4, 5, 6, 7, 8}));
        }

        assertThat(readAll(path)).containsExactly("INFO one", "lost 2+1", "INFO three");
    }

    @Test
    void aRecordInTheWrongPlaceIsNotBelieved() throws InterruptedException {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path)) {
            writer.log(1, "one");
            byte[] file = Files.readAllBytes(path);
            writer.overwrite(2, ByteBuffer.wrap(file, SLOT_BYTES, SLOT_BYTES));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }

        assertThat(readAll(path)).containsExactly("INFO one");
    }

    @Test
    void whateverAGuestWritesTheReaderComesToAnEnd() throws Exception {
        Path path = newChannel();
        Random random = new Random(20_261_121);
        for (int round = 0; round < 200; round++) {
            try (ChannelWriter writer = new ChannelWriter(path)) {
                for (int i = 0; i < 40; i++) {
                    writer.nextNumber(
                            switch (random.nextInt(4)) {
                                case 0 -> random.nextLong() & Long.MAX_VALUE;
                                case 1 -> Long.MAX_VALUE - random.nextInt(SLOTS);
                                default -> 1 + random.nextInt(4 * SLOTS);
                            });
                    writer.record(
                            random.nextInt(10),
                            random.nextInt(4),
                            random.nextInt(256),
                            ByteBuffer.wrap(new byte[random.nextInt(481)]));
                    if (random.nextInt(8) == 0) {
                        byte[] noise = new byte[SLOT_BYTES];
                        random.nextBytes(noise);
                        writer.overwrite(1 + random.nextInt(SLOTS), ByteBuffer.wrap(noise));
                    }
                }
            }
            assertThat(readAll(path)).hasSizeLessThan(4 * SLOTS);
            try (ChannelFile file = ChannelFile.open(path)) {
                assertThat(file.exitStatus()).isNotNull();
            }
        }
    }

    @Test
    void theNewestExitStatusCounts() {
        Path path = newChannel();
        try (ChannelWriter writer = new ChannelWriter(path);
                ChannelFile file = ChannelFile.open(path)) {
            assertThat(file.exitStatus()).isEmpty();
            writer.log(1, "x");
            writer.exit(7, 3, "page fault at " + "0123456789".repeat(100));

            Optional<ChannelMessage.ExitStatus> exit = file.exitStatus();

            assertThat(exit).map(ChannelMessage.ExitStatus::status).contains(7);
            assertThat(exit).map(ChannelMessage.ExitStatus::cause).contains(ExitCause.FAULT);
            assertThat(exit)
                    .map(ChannelMessage.ExitStatus::text)
                    .hasValueSatisfying(text -> assertThat(text).hasSize(1_014));
        }
    }

    @Test
    void aFileOfAnotherSizeIsNoChannel() throws IOException {
        Path path = Files.writeString(folder.resolve("other"), "hello");

        assertThatThrownBy(() -> ChannelReader.ofFile(path))
                .isInstanceOf(VmException.class)
                .hasMessageContaining("is no channel");
        assertThatThrownBy(() -> ChannelReader.ofFile(folder.resolve("absent")))
                .isInstanceOf(VmException.class)
                .hasMessageContaining("absent");
    }
}
