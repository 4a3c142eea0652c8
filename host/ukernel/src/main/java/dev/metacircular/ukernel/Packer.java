package dev.metacircular.ukernel;

import dev.metacircular.image.AbiVersion;
import dev.metacircular.image.Attributes;
import dev.metacircular.image.Content;
import dev.metacircular.image.Digest;
import dev.metacircular.image.Image;
import dev.metacircular.image.ImageException;
import dev.metacircular.image.ImageSpec;
import dev.metacircular.image.ImageWriter;
import dev.metacircular.image.Manifest;
import dev.metacircular.image.Node;
import dev.metacircular.image.SourceTree;
import dev.metacircular.image.WrittenImage;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Makes a project's image of its program and the kernel. */
final class Packer {
    /** Where a native workload's program stands in its image. */
    static final String PROGRAM_FOLDER = "app";

    private static final String STAMP = ".image";

    private final Installation installation;

    Packer(Installation installation) {
        this.installation = installation;
    }

    /**
     * Packs what changed. The program must have been built.
     *
     * @param out where the image goes
     */
    Step pack(Project project, Path out) {
        Path kernel = installation.kernel(project.kernel());
        AbiVersion abi = installation.abi();
        String fingerprint = new Fingerprint()
                .add(out.toString())
                .addFile(project.folder().resolve(Project.FILE))
                .addFile(project.program())
                .addFile(kernel)
                .add(abi.toString())
                .add(project.files().isPresent() ? "files" : "none")
                .addFolder(project.files()
                        .map(project.folder()::resolve)
                        .orElse(project.buildFolder().resolve(".none")))
                .text();
        Fingerprint.Stamp stamp = new Fingerprint.Stamp(project.buildFolder().resolve(STAMP));
        try {
            if (stamp.holds(fingerprint) && isImage(out)) {
                return new Step("pack", false, "pack: nothing to do, %s is up to date".formatted(shown(project, out)));
            }
            stamp.clear();
            Path folder = out.toAbsolutePath().getParent();
            if (folder != null) {
                Files.createDirectories(folder);
            }
            WrittenImage image = ImageWriter.write(spec(project, kernel, abi), out);
            stamp.write(fingerprint);
            return new Step(
                    "pack", true, "pack: wrote %s (%s)".formatted(shown(project, out), Report.size(image.sizeBytes())));
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.FAILED, "cannot write the image (" + e + ")")
                    .at(out.toString())
                    .exception();
        }
    }

    private static boolean isImage(Path out) {
        try (Image image = Image.open(out)) {
            return image.sizeBytes() > 0;
        } catch (ImageException e) {
            return false;
        }
    }

    private static String shown(Project project, Path out) {
        return out.startsWith(project.folder())
                ? project.folder().relativize(out).toString()
                : out.toString();
    }

    private static ImageSpec spec(Project project, Path kernel, AbiVersion abi) throws IOException {
        Content program = Content.of(project.program());
        Node.Directory root = project.files().isPresent()
                ? SourceTree.read(project.folder().resolve(project.files().get()), SourceTree.Permissions.NORMAL)
                : new Node.Directory(Attributes.of(0755));
        root.add(
                PROGRAM_FOLDER,
                new Node.Directory(Attributes.of(0755))
                        .add(project.name().value(), new Node.RegularFile(Attributes.of(0755), program)));
        String path = "/" + PROGRAM_FOLDER + "/" + project.name();
        Map<String, Digest> digests = new LinkedHashMap<>();
        digests.put("entry", Digest.of(Files.readAllBytes(project.program())));
        Manifest manifest = new Manifest(
                project.name().value(),
                abi,
                project.adapter(),
                path,
                path,
                List.of(project.name().value()),
                Map.of(),
                project.capabilities(),
                Map.of(),
                digests);
        return new ImageSpec(manifest, Content.of(kernel), Optional.empty(), root);
    }
}
