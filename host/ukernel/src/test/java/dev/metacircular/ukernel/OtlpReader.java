package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.ByteString;
import com.google.protobuf.util.JsonFormat;
import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import io.opentelemetry.proto.common.v1.KeyValue;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.IOException;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * Reads what a collector takes at {@code /v1/traces} with OpenTelemetry's own definitions, and holds it to what their comments demand. A field
 * that is not defined, or a value of another type, is refused.
 */
final class OtlpReader {
    /**
     * OTLP's one deviation from protobuf's JSON: identifiers are in hexadecimal, where protobuf has bytes in base64 (OTLP 1.x, «JSON Protobuf
     * Encoding»). Protobuf's reader would take hexadecimal for base64 and find other bytes, so they are converted before it reads them.
     */
    private static final List<String> IDENTIFIERS = List.of("traceId", "spanId", "parentSpanId");

    private static final String HEXADECIMAL = "([0-9a-f]{2})+";

    private OtlpReader() {}

    /** The spans of all resources and scopes. */
    static List<Span> spans(String json) throws IOException {
        ExportTraceServiceRequest request = read(json);
        assertThat(request.getResourceSpansList()).isNotEmpty().allSatisfy(resource -> {
            checkAttributes(resource.getResource().getAttributesList());
            assertThat(resource.getResource().getAttributesList())
                    .extracting(KeyValue::getKey)
                    .contains("service.name");
        });
        List<Span> spans = request.getResourceSpansList().stream()
                .flatMap(resource -> resource.getScopeSpansList().stream())
                .peek(scope -> assertThat(scope.getScope().getName()).isNotEmpty())
                .flatMap(scope -> scope.getSpansList().stream())
                .toList();
        Map<ByteString, Span> byId = new HashMap<>();
        for (Span span : spans) {
            check(span);
            assertThat(byId.put(span.getSpanId(), span)).isNull();
        }
        for (Span span : spans) {
            Span parent = byId.get(span.getParentSpanId());
            assertThat(parent != null || span.getParentSpanId().isEmpty())
                    .as(span.getName())
                    .isTrue();
            assertThat(parent == null ? span.getTraceId() : parent.getTraceId()).isEqualTo(span.getTraceId());
        }
        return spans;
    }

    private static ExportTraceServiceRequest read(String json) throws IOException {
        ObjectMapper mapper = new ObjectMapper();
        JsonNode root = mapper.readTree(json);
        for (String field : IDENTIFIERS) {
            root.findParents(field).forEach(parent -> {
                assertThat(parent.path(field).asText()).as(field).matches(HEXADECIMAL);
                ((ObjectNode) parent)
                        .put(
                                field,
                                Base64.getEncoder()
                                        .encodeToString(HexFormat.of()
                                                .parseHex(parent.path(field).asText())));
            });
        }
        ExportTraceServiceRequest.Builder request = ExportTraceServiceRequest.newBuilder();
        JsonFormat.parser().merge(mapper.writeValueAsString(root), request);
        return request.build();
    }

    private static void check(Span span) {
        checkIdentifier(span.getTraceId(), 16);
        checkIdentifier(span.getSpanId(), 8);
        assertThat(span.getParentSpanId().size()).isIn(0, 8);
        assertThat(span.getName()).isNotEmpty();
        assertThat(span.getKind()).isEqualTo(Span.SpanKind.SPAN_KIND_INTERNAL);
        assertThat(span.getStartTimeUnixNano()).isPositive();
        assertThat(span.getEndTimeUnixNano()).isGreaterThanOrEqualTo(span.getStartTimeUnixNano());
        checkAttributes(span.getAttributesList());
        for (Span.Event event : span.getEventsList()) {
            assertThat(event.getName()).isNotEmpty();
            assertThat(event.getTimeUnixNano()).isPositive();
            checkAttributes(event.getAttributesList());
        }
    }

    private static void checkIdentifier(ByteString identifier, int bytes) {
        assertThat(identifier.size()).isEqualTo(bytes);
        assertThat(identifier).isNotEqualTo(ByteString.copyFrom(new byte[bytes]));
    }

    private static void checkAttributes(List<KeyValue> attributes) {
        assertThat(attributes.stream().map(KeyValue::getKey))
                .doesNotHaveDuplicates()
                .doesNotContain("");
        assertThat(attributes.stream().allMatch(KeyValue::hasValue)).isTrue();
    }
}
