package dev.metacircular.cli.http2;

/** One header field. */
record Header(String name, String value) {
    /** What a field counts in a header list beside its octets (RFC 7541, section 4.1). */
    static final int OVERHEAD_BYTES = 32;

    int sizeBytes() {
        return name.length() + value.length() + OVERHEAD_BYTES;
    }
}
