package dev.metacircular.vm;

import java.util.List;
import java.util.regex.Pattern;

/** A network interface of a VM. */
public sealed interface Network {
    /**
     * User-mode networking inside the VMM: the guest reaches out through the host's sockets, and is reached through forwards alone.
     *
     * @param forwards host ports handed on to the guest
     */
    record User(List<PortForward> forwards) implements Network {
        public User {
            forwards = List.copyOf(forwards);
            if (forwards.size() > Limits.PORT_FORWARDS_MAX) {
                throw new VmException(
                        VmException.Fault.REQUEST,
                        forwards.size() + " port forwards: at most " + Limits.PORT_FORWARDS_MAX + " are allowed");
            }
        }
    }

    /**
     * An existing tap interface of the host that the user running the VMM may open.
     *
     * @param interfaceName as {@code ip link} shows it
     */
    record Tap(String interfaceName) implements Network {
        private static final Pattern ALLOWED = Pattern.compile("[A-Za-z0-9_.-]{1,15}");

        public Tap {
            if (!ALLOWED.matcher(interfaceName).matches()) {
                throw new VmException(
                        VmException.Fault.REQUEST,
                        "tap interface \"" + interfaceName
                                + "\": 1 to 15 letters, digits, '.', '_' or '-' are allowed");
            }
        }
    }
}
