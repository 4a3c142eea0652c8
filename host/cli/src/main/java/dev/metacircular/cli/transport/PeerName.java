package dev.metacircular.cli.transport;

import java.net.InetAddress;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;

/**
 * The names that a server certificate is for: its subject alternative names of the kinds DNS name and IP address, each taken as it
 * stands (RFC 9525, section 6, without wildcards, which an agent's authority does not issue).
 */
final class PeerName {
    private static final int DNS_NAME = 2;
    private static final int IP_ADDRESS = 7;

    private PeerName() {}

    static List<String> of(X509Certificate certificate) throws CertificateParsingException {
        Collection<List<?>> alternatives = certificate.getSubjectAlternativeNames();
        List<String> names = new ArrayList<>();
        if (alternatives != null) {
            for (List<?> alternative : alternatives) {
                if (isKind(alternative, DNS_NAME) || isKind(alternative, IP_ADDRESS)) {
                    names.add(String.valueOf(alternative.get(1)));
                }
            }
        }
        return names.isEmpty() ? List.of("no name at all") : names;
    }

    /** Whether the certificate is for the host, which is a DNS name or a literal address. */
    static boolean matches(X509Certificate certificate, String host) throws CertificateParsingException {
        Collection<List<?>> alternatives = certificate.getSubjectAlternativeNames();
        if (alternatives == null) {
            return false;
        }
        boolean literal = isLiteral(host);
        for (List<?> alternative : alternatives) {
            String name = String.valueOf(alternative.get(1));
            if (literal
                    ? isKind(alternative, IP_ADDRESS)
                            && InetAddress.ofLiteral(name).equals(InetAddress.ofLiteral(host))
                    : isKind(alternative, DNS_NAME) && plain(name).equals(plain(host))) {
                return true;
            }
        }
        return false;
    }

    private static boolean isKind(List<?> alternative, int kind) {
        return alternative.getFirst() instanceof Integer i && i == kind;
    }

    private static boolean isLiteral(String host) {
        try {
            InetAddress.ofLiteral(host);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static String plain(String name) {
        String lower = name.toLowerCase(Locale.ROOT);
        return lower.endsWith(".") ? lower.substring(0, lower.length() - 1) : lower;
    }
}
