package dev.metacircular.vm;

import java.net.InetAddress;

/**
 * A port of the host that user-mode networking hands on to the guest.
 *
 * @param protocol TCP or UDP
 * @param hostAddress the address to listen on
 * @param hostPort 1 to 65535
 * @param guestPort 1 to 65535
 */
public record PortForward(Protocol protocol, InetAddress hostAddress, int hostPort, int guestPort) {
    /** Transport protocol of a forward. */
    public enum Protocol {
        TCP,
        UDP
    }

    public PortForward {
        checkPort("host", hostPort);
        checkPort("guest", guestPort);
    }

    private static void checkPort(String side, int port) {
        if (port < 1 || port > 65_535) {
            throw new VmException(VmException.Fault.REQUEST, side + " port " + port + ": must be 1 to 65535");
        }
    }
}
