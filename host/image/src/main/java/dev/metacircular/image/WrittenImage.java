package dev.metacircular.image;

import java.util.List;
import java.util.UUID;

/**
 * What a writer wrote.
 *
 * @param sizeBytes length of the file
 * @param uuid names the whole content
 * @param segments the four parts in the order of the file
 * @param manifest the manifest as it stands in the image
 */
public record WrittenImage(long sizeBytes, UUID uuid, List<Segment> segments, Manifest manifest) {
    public WrittenImage {
        segments = List.copyOf(segments);
    }
}
