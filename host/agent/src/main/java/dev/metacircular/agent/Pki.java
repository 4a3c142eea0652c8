package dev.metacircular.agent;

import dev.metacircular.model.Name;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.interfaces.RSAPrivateKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/**
 * A node's private certificate authority and the server certificate that it signs (RFC 5280). RSA-2048 throughout: its signatures
 * are the cheapest to verify for a client that has just started.
 */
final class Pki {
    private static final Duration AUTHORITY_LIFE = Duration.ofDays(3650);
    private static final Duration SERVER_LIFE = Duration.ofDays(397);
    private static final Duration CLOCK_SKEW = Duration.ofHours(1);
    private static final int KEY_BITS = 2048;
    private static final int SERIAL_BITS = 120;
    private static final String SIGNATURE = "SHA256withRSA";

    /** A server certificate is replaced when it has less than this left. */
    static final Duration RENEW_BEFORE = Duration.ofDays(30);

    private final Path authorityCertificate;
    private final Path authorityKey;
    private final Path serverCertificate;
    private final Path serverKey;

    Pki(Path directory) {
        authorityCertificate = directory.resolve("ca.pem");
        authorityKey = directory.resolve("pki/ca.key");
        serverCertificate = directory.resolve("pki/server.pem");
        serverKey = directory.resolve("pki/server.key");
    }

    Path authorityCertificate() {
        return authorityCertificate;
    }

    Path serverCertificate() {
        return serverCertificate;
    }

    Path serverKey() {
        return serverKey;
    }

    /** @param names addresses and DNS names under which clients reach the node */
    void create(Name node, List<String> names, Instant now) throws IOException {
        try {
            KeyPair authority = keyPair();
            X500Principal subject = new X500Principal("CN=Metacircular node " + node);
            JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
            JcaX509v3CertificateBuilder builder = builder(subject, subject, authority, now, AUTHORITY_LIFE);
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(0));
            builder.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign));
            builder.addExtension(
                    Extension.subjectKeyIdentifier,
                    false,
                    extensions.createSubjectKeyIdentifier(authority.getPublic()));
            X509Certificate certificate = sign(builder, authority.getPrivate());
            Files.createDirectories(
                    serverKey.resolveSibling(""),
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            writeSecret(authorityKey, pem("PRIVATE KEY", authority.getPrivate().getEncoded()));
            write(authorityCertificate, pem("CERTIFICATE", certificate.getEncoded()));
            issueServer(certificate, authority.getPrivate(), node, names, now);
        } catch (GeneralSecurityException | OperatorException e) {
            throw new IOException("cannot make the node's certificates: " + e.getMessage(), e);
        }
    }

    /**
     * Replaces the server certificate by one with the same names if it is about to end.
     *
     * @return whether it was replaced
     */
    boolean renewIfDue(Name node, Instant now) throws IOException {
        try {
            X509Certificate server = read(serverCertificate);
            if (now.plus(RENEW_BEFORE).isBefore(server.getNotAfter().toInstant()) && isKeyOf(server)) {
                return false;
            }
            issueServer(read(authorityCertificate), readKey(authorityKey), node, names(server), now);
            return true;
        } catch (GeneralSecurityException | OperatorException e) {
            throw new IOException("cannot renew the server certificate: " + e.getMessage(), e);
        }
    }

    /** Whether the server's key is the certificate's: a crash between the writing of the two leaves one of them old. */
    private boolean isKeyOf(X509Certificate server) throws GeneralSecurityException, IOException {
        return readKey(serverKey) instanceof RSAPrivateKey key
                && server.getPublicKey() instanceof RSAPublicKey known
                && key.getModulus().equals(known.getModulus());
    }

    /**
     * Makes a new authority and a server certificate of it, with the names of the present one; clients must be told to trust it. The
     * old authority's certificate stays beside it.
     */
    void renewAuthority(Name node, Instant now) throws IOException {
        try {
            List<String> names = names(read(serverCertificate));
            Files.copy(
                    authorityCertificate,
                    authorityCertificate.resolveSibling("ca-previous.pem"),
                    StandardCopyOption.REPLACE_EXISTING);
            create(node, names, now);
        } catch (GeneralSecurityException e) {
            throw new IOException("cannot renew the authority: " + e.getMessage(), e);
        }
    }

    private static List<String> names(X509Certificate server) throws GeneralSecurityException {
        List<String> names = new ArrayList<>();
        Collection<List<?>> alternatives = server.getSubjectAlternativeNames();
        if (alternatives != null) {
            alternatives.forEach(n -> names.add(String.valueOf(n.get(1))));
        }
        return names;
    }

    /** What the server shows of itself: its certificate and the authority's, so that a client can be told to trust a new one. */
    ServerIdentity.Shown shown() throws IOException {
        try {
            return new ServerIdentity.Shown(
                    List.of(read(serverCertificate), read(authorityCertificate)), readKey(serverKey));
        } catch (GeneralSecurityException e) {
            throw new IOException("cannot read the server's certificate or key: " + e.getMessage(), e);
        }
    }

    /** The SHA-256 of a certificate, as {@code openssl x509 -fingerprint} writes it. */
    static String fingerprint(Path certificate) throws IOException {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256")
                    .digest(read(certificate).getEncoded());
            return HexFormat.ofDelimiter(":").withUpperCase().formatHex(digest);
        } catch (GeneralSecurityException e) {
            throw new IOException("cannot read " + certificate + ": " + e.getMessage(), e);
        }
    }

    Instant authorityEnds() throws IOException {
        try {
            return read(authorityCertificate).getNotAfter().toInstant();
        } catch (GeneralSecurityException e) {
            throw new IOException("cannot read " + authorityCertificate + ": " + e.getMessage(), e);
        }
    }

    Instant serverEnds() throws IOException {
        try {
            return read(serverCertificate).getNotAfter().toInstant();
        } catch (GeneralSecurityException e) {
            throw new IOException("cannot read " + serverCertificate + ": " + e.getMessage(), e);
        }
    }

    private void issueServer(X509Certificate authority, PrivateKey key, Name node, List<String> names, Instant now)
            throws GeneralSecurityException, OperatorException, IOException {
        KeyPair pair = keyPair();
        JcaX509v3CertificateBuilder builder =
                builder(authority.getSubjectX500Principal(), new X500Principal("CN=" + node), pair, now, SERVER_LIFE);
        JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
        builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(false));
        builder.addExtension(
                Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature | KeyUsage.keyEncipherment));
        builder.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(KeyPurposeId.id_kp_serverAuth));
        builder.addExtension(
                Extension.authorityKeyIdentifier,
                false,
                extensions.createAuthorityKeyIdentifier(authority.getPublicKey()));
        builder.addExtension(
                Extension.subjectAlternativeName,
                false,
                new GeneralNames(names.stream().map(Pki::generalName).toArray(GeneralName[]::new)));
        X509Certificate certificate = sign(builder, key);
        writeSecret(serverKey, pem("PRIVATE KEY", pair.getPrivate().getEncoded()));
        write(serverCertificate, pem("CERTIFICATE", certificate.getEncoded()));
    }

    private static GeneralName generalName(String name) {
        return new GeneralName(isAddress(name) ? GeneralName.iPAddress : GeneralName.dNSName, name);
    }

    /** Whether the text is a literal IP address. */
    static boolean isAddress(String text) {
        try {
            InetAddress.ofLiteral(text);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static JcaX509v3CertificateBuilder builder(
            X500Principal issuer, X500Principal subject, KeyPair pair, Instant now, Duration life) {
        return new JcaX509v3CertificateBuilder(
                issuer,
                new BigInteger(SERIAL_BITS, new SecureRandom()).setBit(SERIAL_BITS),
                Date.from(now.minus(CLOCK_SKEW)),
                Date.from(now.plus(life)),
                subject,
                pair.getPublic());
    }

    private static X509Certificate sign(JcaX509v3CertificateBuilder builder, PrivateKey key)
            throws GeneralSecurityException, OperatorException {
        return new JcaX509CertificateConverter()
                .getCertificate(builder.build(new JcaContentSignerBuilder(SIGNATURE).build(key)));
    }

    private static KeyPair keyPair() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(KEY_BITS);
        return generator.generateKeyPair();
    }

    private static X509Certificate read(Path file) throws GeneralSecurityException, IOException {
        try (var in = Files.newInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    private static PrivateKey readKey(Path file) throws GeneralSecurityException, IOException {
        String body = Files.readString(file).replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
        return KeyFactory.getInstance("RSA")
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(body)));
    }

    private static String pem(String kind, byte[] content) {
        int lineChars = 64;
        String body = Base64.getMimeEncoder(lineChars, new byte[] {'\n'}).encodeToString(content);
        return "-----BEGIN " + kind + "-----\n" + body + "\n-----END " + kind + "-----\n";
    }

    private static void write(Path file, String content) throws IOException {
        Path partial = file.resolveSibling(file.getFileName() + ".new");
        Files.writeString(partial, content, StandardCharsets.US_ASCII);
        Files.move(partial, file, StandardCopyOption.REPLACE_EXISTING);
    }

    private static void writeSecret(Path file, String content) throws IOException {
        Path partial = file.resolveSibling(file.getFileName() + ".new");
        Files.deleteIfExists(partial);
        Files.createFile(partial, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.writeString(partial, content, StandardCharsets.US_ASCII);
        Files.move(partial, file, StandardCopyOption.REPLACE_EXISTING);
    }
}
