package dev.metacircular.runtime.microvm;

import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.PullListener;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The guest images that a node has; what is promised of images in {@link dev.metacircular.runtime.Runtime} holds here. */
public interface GuestImageStore {
    /** Why the store cannot be used now, in one line; empty where it can. */
    default Optional<String> fault() {
        return Optional.empty();
    }

    /** The image as the store has it, without looking elsewhere. */
    Optional<Image> image(ImageRef reference);

    /** All that the store has. */
    List<Image> images();

    /**
     * Brings the image from its registry; a {@code localhost/…} image is never looked up elsewhere.
     *
     * @throws dev.metacircular.runtime.RuntimeFailure {@code NOT_FOUND}, {@code DENIED}, {@code INVALID} for an image that is faulty or
     *     whose program the kernel cannot run, with the reason, {@code UNSUPPORTED} where the node has nothing to pack it with
     */
    Image pull(ImageRef reference, PullListener listener);

    /**
     * Takes the image, with all the names of it that are given here, unless it has others; idempotent. Who runs it has a link of
     * his own to its file and is not disturbed.
     *
     * @return whether it is gone
     */
    boolean remove(Image image);

    /**
     * The bootable file of an image: complete, never changed in place, on the same file system as the store.
     *
     * @param imageId {@link Image#id}
     * @throws dev.metacircular.runtime.RuntimeFailure {@code NOT_FOUND} if the store does not have it
     */
    Path file(String imageId);

    /** The arguments that an instance is given where its component names none: an ordinary image's {@code CMD}. */
    default List<String> command(String imageId) {
        return List.of();
    }
}
