package dev.metacircular.runtime.microvm;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.metacircular.oci.Descriptor;
import dev.metacircular.oci.MediaTypes;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.oci.Sha256;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Makes ordinary images by code and puts them into a registry. */
final class OciImages {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final RegistryClient registry;

    OciImages(RegistryClient registry) {
        this.registry = registry;
    }

    /** What an image is made of; changed by the methods that return it. */
    static final class Recipe {
        private final Map<String, Object> config = new LinkedHashMap<>();
        private final List<byte[]> layers = new ArrayList<>();
        private String architecture = "amd64";
        private String layerType = MediaTypes.LAYER_GZIP;
        private boolean wrongDiffIds;

        Recipe entrypoint(String... words) {
            config.put("Entrypoint", List.of(words));
            return this;
        }

        Recipe cmd(String... words) {
            config.put("Cmd", List.of(words));
            return this;
        }

        Recipe env(String... lines) {
            config.put("Env", List.of(lines));
            return this;
        }

        Recipe workingDirectory(String folder) {
            config.put("WorkingDir", folder);
            return this;
        }

        Recipe architecture(String name) {
            architecture = name;
            return this;
        }

        Recipe layerType(String type) {
            layerType = type;
            return this;
        }

        Recipe wrongDiffIds() {
            wrongDiffIds = true;
            return this;
        }

        Recipe layer(TarWriter tar) {
            return layer(tar.bytes());
        }

        Recipe layer(byte[] archive) {
            layers.add(archive);
            return this;
        }
    }

    private static byte[] json(Object value) {
        try {
            return JSON.writeValueAsBytes(value);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Map<String, Object> descriptor(Descriptor descriptor) {
        return new LinkedHashMap<>(Map.of(
                "mediaType", descriptor.mediaType(),
                "digest", descriptor.digest().text(),
                "size", descriptor.sizeBytes()));
    }

    /** @return the manifest's digest */
    Descriptor push(String repository, String tag, Recipe recipe) {
        List<String> diffIds = new ArrayList<>();
        List<Object> layers = new ArrayList<>();
        for (byte[] archive : recipe.layers) {
            diffIds.add(Sha256.of(recipe.wrongDiffIds ? new byte[1] : archive).text());
            byte[] stored = recipe.layerType.equals(MediaTypes.LAYER_TAR) ? archive : TarWriter.gzip(archive);
            layers.add(descriptor(registry.upload(repository, recipe.layerType, stored)));
        }
        Descriptor config = registry.upload(
                repository,
                MediaTypes.CONFIG,
                json(Map.of(
                        "os",
                        "linux",
                        "architecture",
                        recipe.architecture,
                        "config",
                        recipe.config,
                        "rootfs",
                        Map.of("type", "layers", "diff_ids", diffIds))));
        return registry.putManifest(
                repository,
                tag,
                MediaTypes.MANIFEST,
                json(Map.of(
                        "schemaVersion",
                        2,
                        "mediaType",
                        MediaTypes.MANIFEST,
                        "config",
                        descriptor(config),
                        "layers",
                        layers)));
    }

    /** Puts an index of manifests that are there under a tag. */
    Descriptor pushIndex(String repository, String tag, Map<String, Descriptor> byArchitecture) {
        List<Object> manifests = new ArrayList<>();
        byArchitecture.forEach((architecture, manifest) -> {
            Map<String, Object> entry = descriptor(manifest);
            entry.put("platform", Map.of("os", "linux", "architecture", architecture));
            manifests.add(entry);
        });
        return registry.putManifest(
                repository,
                tag,
                MediaTypes.INDEX,
                json(Map.of("schemaVersion", 2, "mediaType", MediaTypes.INDEX, "manifests", manifests)));
    }

    /** A program of nothing but headers: enough to be told what it is, not to be run. */
    static byte[] elf(int machine, String interpreter) {
        byte[] path = (interpreter + "\0").getBytes(StandardCharsets.UTF_8);
        ByteBuffer elf = ByteBuffer.allocate(64 + 56 + path.length).order(ByteOrder.LITTLE_ENDIAN);
        elf.putInt(0, 0x464c457f).put(4, (byte) 2).put(5, (byte) 1).put(6, (byte) 1);
        elf.putShort(16, (short) 2).putShort(18, (short) machine).putInt(20, 1);
        elf.putLong(32, 64).putShort(52, (short) 64).putShort(54, (short) 56).putShort(56, (short) 1);
        elf.putInt(64, interpreter.isEmpty() ? 1 : 3).putLong(64 + 8, 64 + 56).putLong(64 + 32, path.length);
        elf.put(64 + 56, path);
        return elf.array();
    }

    /** A native program of the guest's tests. */
    static byte[] nativeProgram(Path guest) {
        try {
            return Files.readAllBytes(guest.resolve("tests/hello"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
