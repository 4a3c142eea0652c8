package dev.metacircular.runtime.microvm;

import dev.metacircular.image.AbiVersion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a node packs ordinary images with.
 *
 * @param kernel the kernel's ELF file
 * @param linuxAdapter what carries Linux programs
 * @param abi of both
 */
public record GuestSystem(Path kernel, Path linuxAdapter, AbiVersion abi) {
    private static final Pattern NUMBER = Pattern.compile("#define UK_ABI_(MAJOR|MINOR) ([0-9]{1,4})\\b");

    /**
     * What the guest's build has put into a folder.
     *
     * @param folder {@code guest/zig-out} of a checkout, or a copy of what is needed of it
     * @return empty where something is missing
     */
    public static Optional<GuestSystem> in(Path folder) {
        Path kernel = folder.resolve("kernel/ukernel-full.elf");
        Path adapter = folder.resolve("adapters/linux");
        Path header = folder.resolve("sdk/include/ukernel.h");
        if (!Files.isRegularFile(kernel) || !Files.isRegularFile(adapter)) {
            return Optional.empty();
        }
        try {
            Optional<Integer> major = Optional.empty();
            Optional<Integer> minor = Optional.empty();
            Matcher matcher = NUMBER.matcher(Files.readString(header));
            while (matcher.find()) {
                Optional<Integer> number = Optional.of(Integer.parseInt(matcher.group(2)));
                if (matcher.group(1).equals("MAJOR")) {
                    major = number;
                } else {
                    minor = number;
                }
            }
            if (major.isEmpty() || minor.isEmpty()) {
                return Optional.empty();
            }
            return Optional.of(new GuestSystem(kernel, adapter, new AbiVersion(major.get(), minor.get())));
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
