package dev.metacircular.runtime.podman;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.hc.core5.http.ClassicHttpRequest;
import org.apache.hc.core5.http.HttpHeaders;
import org.apache.hc.core5.http.message.BasicClassicHttpRequest;

/** One HTTP request. */
final class Request {
    private static final byte[] NO_BODY = {};

    private final String purpose;
    private final String method;
    private final String target;
    private final Map<String, String> headers;
    private final byte[] body;

    /**
     * @param purpose what it is for, as a message goes on after "cannot": {@code start shop-web}
     * @param target path and query, encoded
     */
    private Request(String purpose, String method, String target, Map<String, String> headers, byte[] body) {
        this.purpose = purpose;
        this.method = method;
        this.target = target;
        this.headers = Map.copyOf(headers);
        this.body = body;
    }

    static Request get(String purpose, String target) {
        return new Request(purpose, "GET", target, Map.of(), NO_BODY);
    }

    static Request post(String purpose, String target) {
        return new Request(purpose, "POST", target, Map.of(), NO_BODY);
    }

    static Request delete(String purpose, String target) {
        return new Request(purpose, "DELETE", target, Map.of(), NO_BODY);
    }

    String purpose() {
        return purpose;
    }

    Request json(Object document) {
        return body("application/json", Json.bytes(document));
    }

    Request bytes(byte[] content) {
        return body("application/octet-stream", content);
    }

    private Request body(String type, byte[] content) {
        return new Request(purpose, method, target, headers, content).with(Map.of("Content-Type", type));
    }

    /** With these headers too. */
    Request with(Map<String, String> more) {
        Map<String, String> all = new LinkedHashMap<>(headers);
        all.putAll(more);
        return new Request(purpose, method, target, all, body);
    }

    /** What goes before the body; each connection carries one request. */
    ClassicHttpRequest head() {
        ClassicHttpRequest head = new BasicClassicHttpRequest(method, target);
        head.setHeader(HttpHeaders.HOST, "podman");
        head.setHeader(HttpHeaders.CONNECTION, "close");
        headers.forEach(head::setHeader);
        if (!method.equals("GET")) {
            head.setHeader(HttpHeaders.CONTENT_LENGTH, body.length);
        }
        return head;
    }

    byte[] body() {
        return body;
    }
}
