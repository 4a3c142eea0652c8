package dev.metacircular.acceptance;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/**
 * A program that stands at a node's address and behaves as badly as each line of its standard input says; it ends with it.
 *
 * <pre>FaultyPeer HOST:PORT PKI-DIRECTORY</pre>
 */
final class FaultyPeer {
    private static final int PREFACE_BYTES = 24;
    private static final int FRAME_HEAD_BYTES = 9;
    private static final int MAX_FRAME_BYTES = 1 << 20;

    enum Mode {
        /** {@code PASS HOST:PORT}: hands on to an agent, the same or another. */
        PASS,
        /** {@code DELAY HOST:PORT MS}: the same, each piece of the answer so much later. */
        DELAY,
        /** {@code HALF HOST:PORT BYTES}: the same, but closes after so many bytes of the answer. */
        HALF,
        /** {@code STALL HOST:PORT BYTES}: the same, but says nothing after so many bytes of the answer. */
        STALL,
        /** Accepts and never answers. */
        SILENT,
        /** Answers with noise. */
        GARBAGE,
        /** Answers properly and then without end: empty messages. */
        FLOOD,
        /** Answers with one message said to be of 2 GiB. */
        HUGE
    }

    private final Path pki;
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private volatile String[] how = {"SILENT"};

    private FaultyPeer(Path pki) {
        this.pki = pki;
    }

    public static void main(String[] arguments) throws IOException {
        FaultyPeer peer = new FaultyPeer(Path.of(arguments[1]));
        try (ServerSocket server = new ServerSocket()) {
            server.setReuseAddress(true);
            server.bind(address(arguments[0]));
            Thread.startVirtualThread(() -> peer.accept(server));
            System.out.println("listening");
            for (int b = System.in.read(), n = 0; b >= 0; b = System.in.read()) {
                StringBuilder line = new StringBuilder();
                while (b >= 0 && b != '\n' && n++ < 1_000_000) {
                    line.append((char) b);
                    b = System.in.read();
                }
                peer.how = line.toString().split(" ");
                for (Socket socket : peer.open) {
                    socket.close();
                }
                System.out.println("now " + line);
            }
        }
    }

    private static InetSocketAddress address(String text) throws IOException {
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(
                InetAddress.getByName(text.substring(0, colon)), Integer.parseInt(text.substring(colon + 1)));
    }

    private void accept(ServerSocket server) {
        while (!server.isClosed()) {
            try {
                Socket client = server.accept();
                open.add(client);
                Thread.startVirtualThread(() -> serve(client));
            } catch (IOException closed) {
                return;
            }
        }
    }

    private void serve(Socket client) {
        String[] now = how;
        try (client) {
            switch (Mode.valueOf(now[0])) {
                case PASS -> relay(client, now[1], Long.MAX_VALUE, 0, false);
                case DELAY -> relay(client, now[1], Long.MAX_VALUE, Integer.parseInt(now[2]), false);
                case HALF -> relay(client, now[1], Long.parseLong(now[2]), 0, false);
                case STALL -> relay(client, now[1], Long.parseLong(now[2]), 0, true);
                case SILENT -> client.getInputStream().transferTo(OutputStream.nullOutputStream());
                case GARBAGE -> {
                    byte[] noise = new byte[4_096];
                    new Random(1).nextBytes(noise);
                    client.getOutputStream().write(noise);
                    client.getInputStream().transferTo(OutputStream.nullOutputStream());
                }
                case FLOOD -> speakHttp2(client, "0000000000");
                case HUGE -> speakHttp2(client, "007fffffff");
            }
        } catch (IOException | GeneralSecurityException | RuntimeException ended) {
            // The client or a new mode closed it: that is what this program is for.
        } finally {
            open.remove(client);
        }
    }

    private void relay(Socket client, String target, long answerBytes, int delayMs, boolean stalls) throws IOException {
        try (Socket agent = new Socket()) {
            agent.connect(address(target), 5_000);
            open.add(agent);
            Thread.startVirtualThread(() -> {
                try {
                    client.getInputStream().transferTo(agent.getOutputStream());
                    agent.shutdownOutput();
                } catch (IOException ended) {
                    // The other direction notices too.
                }
            });
            byte[] piece = new byte[16_384];
            long left = answerBytes;
            InputStream in = agent.getInputStream();
            while (left > 0) {
                int n = in.read(piece, 0, (int) Math.min(piece.length, left));
                if (n < 0) {
                    break;
                }
                pause(delayMs);
                client.getOutputStream().write(piece, 0, n);
                left -= n;
            }
            if (stalls) {
                pause((int) TimeUnit.MINUTES.toMillis(5));
            }
            open.remove(agent);
        }
    }

    private static void pause(int ms) throws IOException {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(e);
        }
    }

    /** As much of RFC 9113 as a gRPC client needs to believe that an agent answers; keeps to its windows, for one call. */
    private void speakHttp2(Socket plain, String messageHead) throws IOException, GeneralSecurityException {
        SSLSocket client = (SSLSocket) context().getSocketFactory().createSocket(plain, null, plain.getPort(), true);
        client.setUseClientMode(false);
        SSLParameters parameters = client.getSSLParameters();
        parameters.setApplicationProtocols(new String[] {"h2"});
        client.setSSLParameters(parameters);
        DataInputStream in = new DataInputStream(client.getInputStream());
        in.readFully(new byte[PREFACE_BYTES]);
        Semaphore[] windows = {new Semaphore(65_535), new Semaphore(65_535)};
        frame(client, 4, 0, 0, new byte[0]);
        byte[] head = new byte[FRAME_HEAD_BYTES];
        while (true) {
            in.readFully(head);
            int length = ByteBuffer.wrap(head).getInt() >>> 8;
            if (length > MAX_FRAME_BYTES) {
                throw new IOException("frame of " + length);
            }
            byte[] body = new byte[length];
            in.readFully(body);
            int stream = ByteBuffer.wrap(head).getInt(5) & 0x7fff_ffff;
            switch (head[3]) {
                case 1 -> Thread.startVirtualThread(() -> answer(client, stream, messageHead, windows));
                case 4 -> {
                    if ((head[4] & 1) == 0) {
                        frame(client, 4, 1, 0, new byte[0]);
                    }
                }
                case 6 -> {
                    if ((head[4] & 1) == 0) {
                        frame(client, 6, 1, 0, body);
                    }
                }
                case 8 -> {
                    windows[stream == 0 ? 0 : 1].release(ByteBuffer.wrap(body).getInt() & 0x7fff_ffff);
                }
                default -> {}
            }
        }
    }

    /** Status 200 and {@code application/grpc} (RFC 7541: entries 8 and 31 of the static table), then messages without end. */
    private static void answer(SSLSocket client, int stream, String messageHead, Semaphore[] windows) {
        try {
            byte[] type = "application/grpc".getBytes(StandardCharsets.US_ASCII);
            byte[] headers = new byte[4 + type.length];
            headers[0] = (byte) 0x88;
            headers[1] = 0x0f;
            headers[2] = 0x10;
            headers[3] = (byte) type.length;
            System.arraycopy(type, 0, headers, 4, type.length);
            frame(client, 1, 4, stream, headers);
            byte[] message = HexFormat.of().parseHex(messageHead.repeat(1_000));
            while (!client.isClosed()) {
                windows[0].acquire(message.length);
                windows[1].acquire(message.length);
                frame(client, 0, 0, stream, message);
            }
        } catch (IOException ended) {
            // The client has had enough.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void frame(SSLSocket client, int type, int flags, int stream, byte[] body) throws IOException {
        byte[] all = new byte[FRAME_HEAD_BYTES + body.length];
        all[0] = (byte) (body.length >> 16);
        all[1] = (byte) (body.length >> 8);
        all[2] = (byte) body.length;
        all[3] = (byte) type;
        all[4] = (byte) flags;
        for (int i = 0; i < 4; i++) {
            all[5 + i] = (byte) (stream >> (24 - 8 * i));
        }
        System.arraycopy(body, 0, all, FRAME_HEAD_BYTES, body.length);
        synchronized (client) {
            client.getOutputStream().write(all);
            client.getOutputStream().flush();
        }
    }

    private SSLContext context() throws IOException, GeneralSecurityException {
        String key = Files.readString(pki.resolve("server.key")).replaceAll("-----[A-Z ]+-----|\\s", "");
        try (InputStream pem = Files.newInputStream(pki.resolve("server.pem"))) {
            Certificate certificate = CertificateFactory.getInstance("X.509").generateCertificate(pem);
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setKeyEntry(
                    "server",
                    KeyFactory.getInstance("RSA")
                            .generatePrivate(
                                    new PKCS8EncodedKeySpec(Base64.getDecoder().decode(key))),
                    new char[0],
                    new Certificate[] {certificate});
            KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
            keys.init(store, new char[0]);
            SSLContext context = SSLContext.getInstance("TLSv1.3");
            context.init(keys.getKeyManagers(), null, null);
            return context;
        }
    }
}
