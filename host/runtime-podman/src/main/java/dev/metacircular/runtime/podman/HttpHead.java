package dev.metacircular.runtime.podman;

import java.io.IOException;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * What the head of an HTTP answer says about its body.
 *
 * @param server what answers calls itself, empty if it does not say
 * @param length empty where the connection's end is the body's
 */
record HttpHead(int status, String server, boolean chunked, OptionalLong length) {
    private static final int MAX_HEADERS = 100;

    static HttpHead read(HttpInput input) throws IOException {
        String[] status = input.line().split(" ", 3);
        if (status.length < 2 || !status[0].startsWith("HTTP/1.") || !status[1].matches("[1-5][0-9]{2}")) {
            throw new IOException("it does not speak HTTP");
        }
        int code = Integer.parseInt(status[1]);
        String server = "";
        boolean chunked = false;
        OptionalLong length = code == 204 || code == 304 ? OptionalLong.of(0) : OptionalLong.empty();
        for (int count = 0; ; count++) {
            String line = input.line();
            if (line.isEmpty()) {
                return new HttpHead(code, server, chunked, length);
            }
            if (count == MAX_HEADERS) {
                throw new IOException("an answer has more than " + MAX_HEADERS + " headers");
            }
            String[] header = line.split(":", 2);
            String value = header.length == 2 ? header[1].strip() : "";
            switch (header[0].toLowerCase(Locale.ROOT)) {
                case "server" -> server = value;
                case "transfer-encoding" -> chunked = value.equalsIgnoreCase("chunked");
                case "content-length" -> length = length.isPresent() ? length : OptionalLong.of(number(value));
                default -> {}
            }
        }
    }

    private static long number(String value) throws IOException {
        if (!value.matches("[0-9]{1,18}")) {
            throw new IOException("'" + OneLine.of(value) + "' is not a length");
        }
        return Long.parseLong(value);
    }
}
