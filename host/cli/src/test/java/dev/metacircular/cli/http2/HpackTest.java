package dev.metacircular.cli.http2;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersDecoder;
import io.netty.handler.codec.http2.DefaultHttp2HeadersEncoder;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2Headers;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** Against Netty's codec, with and without its Huffman code. */
class HpackTest {
    @Property(tries = 200)
    void whatNettyWritesIsRead(@ForAll("blocks") List<List<Header>> blocks) throws Http2Exception {
        for (int huffmanFrom : new int[] {0, Integer.MAX_VALUE}) {
            DefaultHttp2HeadersEncoder encoder =
                    new DefaultHttp2HeadersEncoder((name, value) -> false, false, 16, huffmanFrom);
            HpackDecoder decoder = new HpackDecoder();
            for (List<Header> headers : blocks) {
                assertThat(decoder.decode(netty(encoder, headers))).containsExactlyInAnyOrderElementsOf(headers);
            }
        }
    }

    @Property(tries = 200)
    void whatIsWrittenNettyReads(@ForAll("headers") List<Header> headers) throws Http2Exception {
        Http2Headers read = new DefaultHttp2HeadersDecoder(false, 1 << 20)
                .decodeHeaders(1, Unpooled.wrappedBuffer(HpackEncoder.encode(headers)));

        List<Header> found = new ArrayList<>();
        read.forEach(
                e -> found.add(new Header(e.getKey().toString(), e.getValue().toString())));
        assertThat(found).containsExactlyInAnyOrderElementsOf(headers);
    }

    @Property(tries = 2_000)
    void nonsenseIsRefusedOrReadButNeverBreaksTheDecoder(@ForAll byte[] block) {
        try {
            assertThat(new HpackDecoder().decode(block)).isNotNull();
        } catch (UncheckedIOException e) {
            assertThat(e).hasMessageContaining("header");
        }
    }

    @Test
    void aBlockThatGrowsBeyondTheBoundIsRefused() {
        HpackDecoder decoder = new HpackDecoder();
        byte[] block = new byte[60_000];
        block[0] = 0x40;
        block[1] = 1;
        block[2] = 'a';
        block[3] = 0x7f;
        block[4] = (byte) 0xb9;
        block[5] = 0x17;
        java.util.Arrays.fill(block, 6, 6 + 3_000 + 128, (byte) 'b');
        java.util.Arrays.fill(block, 6 + 3_000 + 128, block.length, (byte) 0xbe);

        assertThatThrownBy(() -> decoder.decode(block)).isInstanceOf(UncheckedIOException.class);
    }

    private static byte[] netty(DefaultHttp2HeadersEncoder encoder, List<Header> headers) throws Http2Exception {
        DefaultHttp2Headers all = new DefaultHttp2Headers(false);
        headers.forEach(h -> all.add(h.name(), h.value()));
        ByteBuf out = Unpooled.buffer();
        encoder.encodeHeaders(1, all, out);
        return ByteBufUtil.getBytes(out);
    }

    @Provide
    Arbitrary<List<List<Header>>> blocks() {
        return headers().list().ofMinSize(1).ofMaxSize(6);
    }

    @Provide
    Arbitrary<List<Header>> headers() {
        Arbitrary<String> names = Arbitraries.oneOf(
                Arbitraries.of("grpc-status", "content-type", "date", "x-a", "x-b"),
                Arbitraries.strings().withCharRange('a', 'z').ofMinLength(1).ofMaxLength(300));
        Arbitrary<String> values = Arbitraries.oneOf(
                Arbitraries.of("0", "application/grpc", ""),
                Arbitraries.strings().withCharRange((char) 1, (char) 255).ofMaxLength(400));
        return Combinators.combine(names, values).as(Header::new).list().ofMaxSize(20);
    }
}
