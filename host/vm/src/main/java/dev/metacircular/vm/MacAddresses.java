package dev.metacircular.vm;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The addresses of the interfaces of the VMs of one folder on one host: locally administered, of one station, and the same at each start of a VM of that
 * name, so that a switch and a DHCP server know it again. Those of other VMs, folders (each user has one) and hosts are others, but for a chance of
 * one in 2^46 for each pair. Hosts are told apart by {@code /etc/machine-id}: copies of one disk, or hosts without the file, only by the folder.
 *
 * @param host what the host is known by
 * @param vms the folder of the VMs' state directories
 */
record MacAddresses(String host, Path vms) {
    private static final Path MACHINE_ID = Path.of("/etc/machine-id");

    MacAddresses {
        vms = vms.toAbsolutePath().normalize();
    }

    /** Those of this host. */
    static MacAddresses here(Path vms) {
        String host;
        try {
            host = Files.readString(MACHINE_ID).strip();
        } catch (IOException absent) {
            host = "";
        }
        return new MacAddresses(host, vms);
    }

    String of(VmId vm, int index) {
        byte[] digest = sha256((host + "\n" + vms + "\n" + vm.value() + "/" + index).getBytes(StandardCharsets.UTF_8));
        return "%02x:%02x:%02x:%02x:%02x:%02x"
                .formatted((digest[0] & 0xfc) | 2, digest[1], digest[2], digest[3], digest[4], digest[5]);
    }

    private static byte[] sha256(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
