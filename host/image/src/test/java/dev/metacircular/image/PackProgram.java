package dev.metacircular.image;

import java.nio.file.Path;

/** Packs a folder in a process of its own: the second argument is the image. */
final class PackProgram {
    private PackProgram() {}

    public static void main(String[] arguments) {
        Node.Directory tree = SourceTree.read(Path.of(arguments[0]), SourceTree.Permissions.NORMAL);
        ImageWriter.write(Samples.spec(tree), Path.of(arguments[1]));
    }
}
