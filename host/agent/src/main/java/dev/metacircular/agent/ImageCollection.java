package dev.metacircular.agent;

import dev.metacircular.contract.v1.CollectImagesResponse;
import dev.metacircular.contract.v1.CollectedImage;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.ImageStore;
import dev.metacircular.registry.PulledImage;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Removes images that nothing needs. Only what the agent itself brought is ever removed, and of it nothing that an instance of
 * anybody's was made from, that one of a component's last versions was deployed from, that bears a name which the agent did not pull it by, or
 * that came within a day.
 */
final class ImageCollection {
    /** So many of a component's last versions stay. */
    static final int VERSIONS_KEPT = 3;

    static final Duration YOUNG = Duration.ofDays(1);

    private final Runtimes runtimes;
    private final ImageStore store;
    private final ServiceLocks locks;
    private final EventLog events;
    private final Clock clock;

    ImageCollection(Runtimes runtimes, ImageStore store, ServiceLocks locks, EventLog events, Clock clock) {
        this.runtimes = runtimes;
        this.store = store;
        this.locks = locks;
        this.events = events;
        this.clock = clock;
    }

    /** Removes them, or tells which it would; a runtime that cannot be asked is left alone, and nothing goes while a deploy is under way. */
    synchronized CollectImagesResponse collect(boolean dryRun) {
        CollectImagesResponse.Builder response = CollectImagesResponse.newBuilder();
        List<String> removed = new ArrayList<>();
        long freed = 0;
        for (Runtime runtime : runtimes.all()) {
            for (Image image : unneeded(runtime)) {
                boolean gone = !dryRun && !locks.isBusy() && runtime.removeImage(image);
                if (gone) {
                    store.dropPulled(image.id());
                    freed += image.sizeBytes();
                    removed.add(name(image));
                }
                if (dryRun || gone) {
                    response.addImages(CollectedImage.newBuilder()
                            .setImage(image.id())
                            .addAllNames(image.references())
                            .setSizeBytes(image.sizeBytes()));
                }
            }
        }
        if (!removed.isEmpty()) {
            events.node(
                    EventLog.Kind.IMAGES_COLLECTED,
                    removed.size() + (removed.size() == 1 ? " image" : " images") + " that nothing needed, "
                            + (freed >> 20) + " MiB with what they share: " + String.join(", ", removed));
        }
        return response.build();
    }

    private static String name(Image image) {
        return image.references().isEmpty() ? image.id() : String.join(" ", image.references());
    }

    private List<Image> unneeded(Runtime runtime) {
        List<Image> images;
        List<Instance> instances;
        try {
            images = runtime.images();
            instances = runtime.listAll();
        } catch (RuntimeFailure e) {
            return List.of();
        }
        List<PulledImage> rows = rows(runtime);
        if (runtime.kind() == RuntimeKind.UNIKERNEL && recordUnrecorded(images, rows)) {
            rows = rows(runtime);
        }
        Set<String> present = images.stream().map(Image::id).collect(Collectors.toSet());
        Map<String, List<PulledImage>> byImage = rows.stream().collect(Collectors.groupingBy(PulledImage::image));
        byImage.keySet().stream().filter(i -> !present.contains(i)).forEach(store::dropPulled);
        Set<String> needed = new HashSet<>(store.needed(VERSIONS_KEPT));
        instances.forEach(i -> needed.add(i.imageId()));
        Instant old = clock.instant().minus(YOUNG);
        return images.stream()
                .filter(i -> !needed.contains(i.id()))
                .filter(i -> {
                    List<PulledImage> pulls = byImage.getOrDefault(i.id(), List.of());
                    return !pulls.isEmpty()
                            && pulls.stream().allMatch(p -> p.pulledAt().isBefore(old))
                            && names(pulls).containsAll(i.references());
                })
                .toList();
    }

    private List<PulledImage> rows(Runtime runtime) {
        return store.pulled().stream()
                .filter(p -> p.runtime().equals(runtime.kind().toString()))
                .toList();
    }

    /**
     * Nobody but the agent fills the store of guest images: one of which nothing is recorded lost its name to a later load, or a crash came
     * between its pull and the record. It is young from now on. One that was loaded under a name stays.
     */
    private boolean recordUnrecorded(List<Image> images, List<PulledImage> rows) {
        Set<String> recorded = rows.stream().map(PulledImage::image).collect(Collectors.toSet());
        boolean any = false;
        for (Image image : images) {
            List<String> names = image.references().isEmpty() ? List.of("") : image.references();
            if (!recorded.contains(image.id()) && names.stream().noneMatch(n -> n.startsWith("localhost/"))) {
                names.forEach(n -> store.recordPulled(RuntimeKind.UNIKERNEL.toString(), image.id(), n));
                any = true;
            }
        }
        return any;
    }

    private static Set<String> names(List<PulledImage> rows) {
        return rows.stream().map(PulledImage::reference).collect(Collectors.toSet());
    }
}
