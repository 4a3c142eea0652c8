package dev.metacircular.ukernel;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The steps towards an image, each done only where something changed. */
final class Pipeline {
    private final Installation installation;
    private final Report report;

    Pipeline(Installation installation, Report report) {
        this.installation = installation;
        this.report = report;
    }

    /** Builds the program. */
    List<Step> build(Project project, boolean release) {
        Step step = new Builder(installation).build(project, release);
        report.progress(step.summary());
        return List.of(step);
    }

    /** Builds the program and packs the image. */
    List<Step> pack(Project project, Path image, boolean release) {
        List<Step> steps = new ArrayList<>(build(project, release));
        Step step = new Packer(installation).pack(project, image);
        report.progress(step.summary());
        steps.add(step);
        return steps;
    }
}
