package dev.metacircular.oci;

import dev.metacircular.oci.OciException.Kind;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.channels.UnresolvedAddressException;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import javax.net.ssl.SSLException;

/** One HTTP exchange at a time, each with its deadlines; no redirects, no authentication, nothing tried again. */
final class Transport implements AutoCloseable {
    private static final String AGENT = "metacircular";

    private final HttpClient http;
    private final Deadlines deadlines;

    Transport(Access access, Deadlines deadlines) {
        this.deadlines = deadlines;
        this.http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.NEVER)
                .connectTimeout(deadlines.connect())
                .sslContext(Trust.context(access))
                .build();
    }

    /** @param body makes the body; what it is given is to be told of each piece that leaves */
    record Call(
            String method, URI uri, Map<String, String> headers, Function<Runnable, HttpRequest.BodyPublisher> body) {
        Call(String method, URI uri, Map<String, String> headers) {
            this(method, uri, headers, _ -> HttpRequest.BodyPublishers.noBody());
        }
    }

    /** An answer whose body has not been read. */
    final class Answer implements AutoCloseable {
        private final HttpResponse<InputStream> response;
        private final Guard guard;
        private final InputStream body;

        private Answer(HttpResponse<InputStream> response, long end) {
            this.response = response;
            this.guard = new Guard(deadlines.idle(), end, () -> closeQuietly(response.body()));
            this.body = new FilterInputStream(response.body()) {
                @Override
                public int read() throws IOException {
                    byte[] one = new byte[1];
                    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
                }

                @Override
                public int read(byte[] buffer, int offset, int length) throws IOException {
                    int read = in.read(buffer, offset, length);
                    guard.progress();
                    return read;
                }
            };
        }

        int status() {
            return response.statusCode();
        }

        URI uri() {
            return response.uri();
        }

        Optional<String> header(String name) {
            return response.headers().firstValue(name);
        }

        java.util.List<String> headers(String name) {
            return response.headers().allValues(name);
        }

        /** A failure to read it is explained by {@link #failure}. */
        InputStream body() {
            return body;
        }

        /**
         * All of it.
         *
         * @throws OciException INVALID if it has more bytes than that
         */
        byte[] read(String purpose, int maxBytes) {
            try {
                byte[] bytes = body.readNBytes(maxBytes + 1);
                if (bytes.length > maxBytes) {
                    throw new OciException(
                            Kind.INVALID, "cannot %s: the answer has more than %d bytes".formatted(purpose, maxBytes));
                }
                return bytes;
            } catch (IOException e) {
                throw failure(purpose, e);
            }
        }

        /** What is said of a body that could not be read. */
        OciException failure(String purpose, IOException e) {
            if (!guard.reason().isEmpty()) {
                return new OciException(Kind.DEADLINE, "cannot %s: %s".formatted(purpose, guard.reason()), e);
            }
            return new OciException(
                    Kind.UNREACHABLE, "cannot %s: the connection was lost (%s)".formatted(purpose, OneLine.of(e)), e);
        }

        @Override
        public void close() {
            guard.close();
            closeQuietly(response.body());
        }
    }

    /**
     * Sends a request and waits for the answer's beginning.
     *
     * @param end when it must be over, as {@link System#nanoTime} counts
     */
    Answer send(String purpose, Call call, long end) {
        Guard[] guard = new Guard[1];
        HttpRequest.Builder request = HttpRequest.newBuilder(call.uri()).header("User-Agent", AGENT);
        call.headers().forEach(request::header);
        request.method(call.method(), call.body().apply(() -> {
            Guard told = guard[0];
            if (told != null) {
                told.progress();
            }
        }));
        CompletableFuture<HttpResponse<InputStream>> future =
                http.sendAsync(request.build(), HttpResponse.BodyHandlers.ofInputStream());
        try (Guard watching = new Guard(deadlines.answer(), end, () -> future.cancel(true))) {
            guard[0] = watching;
            try {
                return new Answer(future.get(), end);
            } catch (CancellationException | ExecutionException e) {
                if (!watching.reason().isEmpty()) {
                    throw new OciException(
                            Kind.DEADLINE,
                            "cannot %s: %s answers nothing, %s"
                                    .formatted(purpose, origin(call.uri()), watching.reason()),
                            e);
                }
                throw failure(purpose, call.uri(), e.getCause() == null ? e : e.getCause());
            } catch (InterruptedException e) {
                future.cancel(true);
                Thread.currentThread().interrupt();
                throw new OciException(Kind.FAILED, "cannot " + purpose + ": it was interrupted", e);
            }
        }
    }

    private static OciException failure(String purpose, URI uri, Throwable cause) {
        String where = origin(uri);
        Throwable root = cause;
        while (root.getCause() != null && !(root instanceof SSLException || root instanceof ConnectException)) {
            root = root.getCause();
        }
        String why = switch (root) {
            case UnknownHostException _ -> "the name of " + where + " is not known";
            case ConnectException lost
            when lost.getCause() instanceof UnresolvedAddressException -> "the name of " + where + " is not known";
            case SSLException ssl -> where + " is not trusted or speaks no TLS (" + OneLine.of(ssl) + ")";
            case ConnectException _ -> "no connection to " + where;
            default -> "the connection to " + where + " was lost (" + OneLine.of(root) + ")";
        };
        return new OciException(Kind.UNREACHABLE, "cannot " + purpose + ": " + why, cause);
    }

    static String origin(URI uri) {
        return uri.getScheme() + "://" + uri.getAuthority();
    }

    private static void closeQuietly(InputStream stream) {
        try {
            stream.close();
        } catch (IOException e) {
            // It is not read any more.
        }
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
