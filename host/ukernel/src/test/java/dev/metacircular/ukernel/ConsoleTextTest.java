package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ConsoleTextTest {
    @Test
    void aCharacterThatArrivesInPiecesStaysWhole() {
        String whole = "µKernel → 🙂 done";
        ConsoleText text = new ConsoleText();
        StringBuilder read = new StringBuilder();
        for (byte b : whole.getBytes(StandardCharsets.UTF_8)) {
            read.append(text.add(new byte[] {b}));
        }
        assertThat(read).hasToString(whole);
    }

    @Test
    void whatIsNoTextIsReplaced() {
        assertThat(new ConsoleText().add(new byte[] {'a', (byte) 0xff, 'b'})).isEqualTo("a\uFFFDb");
    }
}
