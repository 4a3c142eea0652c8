package dev.metacircular.vm;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Guests of a few instructions, for tests of drivers. */
public enum TestGuest {
    /** Prints {@code hello} and a line feed, and ends. */
    HELLO {
        @Override
        GuestCode code() {
            return GuestCode.begin().print("hello\n").end();
        }
    },
    /** Prints {@code hello} and ends by a triple fault. */
    CRASHING {
        @Override
        GuestCode code() {
            return GuestCode.begin().print("hello\n").tripleFault();
        }
    },
    /** Prints {@code ready}, then sends back what it reads until it reads a {@code q}, on which it ends. */
    ECHO {
        @Override
        GuestCode code() {
            return GuestCode.begin()
                    .print("ready\n")
                    .label("loop")
                    .call("get")
                    .compare('q')
                    .jumpIfZero("quit")
                    .call("put")
                    .jump("loop")
                    .label("quit")
                    .print("bye\n")
                    .end();
        }
    },
    /** Prints {@code ready}, then waits for the stop sequence of docs/image-format.md, prints {@code stopping} and ends. */
    STOPS_WHEN_ASKED {
        @Override
        GuestCode code() {
            String sequence = "\u001b_ukernel:stop\u001b\\";
            GuestCode guest = GuestCode.begin().print("ready\n").label("restart");
            for (int i = 0; i < sequence.length(); i++) {
                guest.call("get").compare(sequence.charAt(i)).jumpIfNotZero("restart");
            }
            return guest.print("stopping\n").end();
        }
    },
    /** Prints {@code ready}, and then neither reads nor ends. */
    DEAF {
        @Override
        GuestCode code() {
            return GuestCode.begin().print("ready\n").sleepForEver();
        }
    },
    /** Prints {@code ready} and spins. */
    SPINNING {
        @Override
        GuestCode code() {
            return GuestCode.begin().print("ready\n").label("spin").jump("spin");
        }
    },
    /** Prints lines of 64 bytes without end; a line is a hexadecimal digit, dots and a line feed. */
    FLOODING {
        @Override
        GuestCode code() {
            return GuestCode.begin()
                    .label("again")
                    .print("0123456789abcdef".repeat(4).substring(1) + "\n")
                    .jump("again");
        }
    };

    abstract GuestCode code();

    /** Writes the guest's kernel to a file in this folder. */
    public Path writeTo(Path folder) {
        try {
            return Files.write(folder.resolve(name().toLowerCase(java.util.Locale.ROOT) + ".elf"), code().toElf());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
