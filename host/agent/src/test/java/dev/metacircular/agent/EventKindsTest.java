package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class EventKindsTest {
    @Test
    void docsListEveryKindWithItsAlertAndNoOther() throws IOException {
        Pattern row = Pattern.compile("^\\| `([a-z_]+)` \\| .* \\| ?([a-z]*) ?\\|$", Pattern.MULTILINE);
        List<String> listed = row.matcher(Files.readString(Path.of("../../docs/events.md")))
                .results()
                .map((MatchResult r) -> r.group(1) + " " + (r.group(2).isEmpty() ? "none" : r.group(2)))
                .toList();
        assertThat(listed)
                .containsExactlyInAnyOrderElementsOf(Arrays.stream(EventLog.Kind.values())
                        .map(k -> k + " " + k.urgency().name().toLowerCase(Locale.ROOT))
                        .toList());
    }
}
