package dev.metacircular.cli.http2;

import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.Status;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** gRPC's metadata and status as HTTP/2 headers and trailers. */
final class Headers {
    private static final String BINARY = Metadata.BINARY_HEADER_SUFFIX;

    private Headers() {}

    static List<Header> request(
            String authority, String path, String userAgent, @Nullable Deadline deadline, Metadata metadata) {
        List<Header> headers = new ArrayList<>();
        headers.add(new Header(":method", "POST"));
        headers.add(new Header(":scheme", "https"));
        headers.add(new Header(":path", "/" + path));
        headers.add(new Header(":authority", authority));
        headers.add(new Header("te", "trailers"));
        headers.add(new Header("content-type", "application/grpc"));
        headers.add(new Header("user-agent", userAgent));
        if (deadline != null) {
            headers.add(new Header("grpc-timeout", Math.max(1, deadline.timeRemaining(TimeUnit.MILLISECONDS)) + "m"));
        }
        for (String name : metadata.keys()) {
            add(headers, name, metadata);
        }
        return headers;
    }

    private static void add(List<Header> headers, String name, Metadata metadata) {
        if (name.endsWith(BINARY)) {
            Iterable<byte[]> values = metadata.getAll(Metadata.Key.of(name, Metadata.BINARY_BYTE_MARSHALLER));
            if (values != null) {
                values.forEach(v -> headers.add(
                        new Header(name, Base64.getEncoder().withoutPadding().encodeToString(v))));
            }
        } else {
            Iterable<String> values = metadata.getAll(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
            if (values != null) {
                values.forEach(v -> headers.add(new Header(name, v)));
            }
        }
    }

    static Metadata metadata(List<Header> headers) {
        Metadata metadata = new Metadata();
        for (Header header : headers) {
            String name = header.name();
            if (name.startsWith(":") || name.equals("grpc-status") || name.equals("grpc-message")) {
                continue;
            }
            if (name.endsWith(BINARY)) {
                Metadata.Key<byte[]> key = Metadata.Key.of(name, Metadata.BINARY_BYTE_MARSHALLER);
                for (String value : header.value().split(",")) {
                    metadata.put(key, Base64.getDecoder().decode(value.strip()));
                }
            } else {
                metadata.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), header.value());
            }
        }
        return metadata;
    }

    static boolean isInformational(List<Header> headers) {
        return value(headers, ":status").filter(s -> s.startsWith("1")).isPresent();
    }

    /** What a response that is not gRPC's means; empty if it is. */
    static Optional<Status> refusal(List<Header> headers) {
        String status = value(headers, ":status").orElse("");
        boolean grpc = value(headers, "content-type")
                .filter(t -> t.startsWith("application/grpc"))
                .isPresent();
        return status.equals("200") && grpc ? Optional.empty() : Optional.of(notGrpc(status));
    }

    /** What the trailers say; without a gRPC status the HTTP status counts. */
    static Status status(List<Header> trailers) {
        Optional<String> code = value(trailers, "grpc-status");
        if (code.isEmpty()) {
            return notGrpc(value(trailers, ":status").orElse("none"));
        }
        Status status =
                code.get().matches("[0-9]{1,3}") ? Status.fromCodeValue(Integer.parseInt(code.get())) : Status.UNKNOWN;
        return value(trailers, "grpc-message")
                .map(m -> status.withDescription(percentDecoded(m)))
                .orElse(status);
    }

    private static Status notGrpc(String httpStatus) {
        return Status.UNAVAILABLE.withDescription("what answers is not an agent (HTTP status " + httpStatus + ")");
    }

    private static Optional<String> value(List<Header> headers, String name) {
        return headers.stream()
                .filter(h -> h.name().equals(name))
                .map(Header::value)
                .findFirst();
    }

    static String percentDecoded(String text) {
        byte[] octets = new byte[text.length()];
        int size = 0;
        for (int at = 0; at < text.length(); at++) {
            char c = text.charAt(at);
            int high = at + 2 < text.length() ? Character.digit(text.charAt(at + 1), 16) : -1;
            int low = at + 2 < text.length() ? Character.digit(text.charAt(at + 2), 16) : -1;
            if (c == '%' && high >= 0 && low >= 0) {
                octets[size++] = (byte) (high << 4 | low);
                at += 2;
            } else {
                octets[size++] = (byte) c;
            }
        }
        return new String(octets, 0, size, StandardCharsets.UTF_8);
    }
}
