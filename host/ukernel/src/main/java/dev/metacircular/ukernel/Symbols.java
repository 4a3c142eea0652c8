package dev.metacircular.ukernel;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Names and source lines of a program's addresses. */
final class Symbols {
    private final ElfFile elf;
    private final List<ElfFile.Function> functions;
    private final LineTable lines;

    private Symbols(ElfFile elf) {
        this.elf = elf;
        this.functions = elf.functions();
        this.lines = LineTable.of(elf);
    }

    /** The symbols of an ELF file; empty if there is none, or it is not to be read. */
    static Optional<Symbols> of(Path file) {
        try {
            return ElfFile.read(file).map(Symbols::new);
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** {@code function (file:line)}, as far as it is known; empty if the address is not the program's. */
    Optional<String> describe(long address) {
        if (!elf.isLoaded(address)) {
            return Optional.empty();
        }
        Optional<String> name = function(address).map(ElfFile.Function::name);
        Optional<String> place = lines.at(address).map(LineTable.Place::toString);
        if (name.isEmpty()) {
            return place;
        }
        return place.isEmpty() ? name : Optional.of(name.get() + " (" + place.get() + ")");
    }

    private Optional<ElfFile.Function> function(long address) {
        int low = 0;
        int high = functions.size() - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            if (functions.get(middle).address() <= address) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        if (high < 0) {
            return Optional.empty();
        }
        ElfFile.Function function = functions.get(high);
        boolean within = function.sizeBytes() == 0 || address - function.address() < function.sizeBytes();
        return within ? Optional.of(function) : Optional.empty();
    }
}
