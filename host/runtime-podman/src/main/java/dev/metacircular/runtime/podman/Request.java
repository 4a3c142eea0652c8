package dev.metacircular.runtime.podman;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

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

    /** The bytes on the wire (RFC 9112); each connection carries one request. */
    byte[] encode() {
        StringBuilder head = new StringBuilder()
                .append(method)
                .append(' ')
                .append(target)
                .append(" HTTP/1.1\r\nHost: podman\r\nConnection: close\r\n");
        headers.forEach(
                (name, value) -> head.append(name).append(": ").append(value).append("\r\n"));
        if (!method.equals("GET")) {
            head.append("Content-Length: ").append(body.length).append("\r\n");
        }
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.US_ASCII);
        byte[] whole = new byte[start.length + body.length];
        System.arraycopy(start, 0, whole, 0, start.length);
        System.arraycopy(body, 0, whole, start.length, body.length);
        return whole;
    }
}
