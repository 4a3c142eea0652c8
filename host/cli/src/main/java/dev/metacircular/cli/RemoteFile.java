package dev.metacircular.cli;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.nio.file.Path;

/**
 * A file of a service's, as {@code SERVICE[:PATH]}.
 *
 * @param path below the service's folder; empty, or with a slash at its end, for a folder
 */
record RemoteFile(Name service, String path) {
    static RemoteFile parse(String text) {
        int colon = text.indexOf(':');
        String service = colon < 0 ? text : text.substring(0, colon);
        try {
            return new RemoteFile(Name.of(service), colon < 0 ? "" : text.substring(colon + 1));
        } catch (IllegalArgumentException e) {
            throw Problem.of(Problem.Kind.INVALID, String.valueOf(e.getMessage()))
                    .next("give SERVICE:PATH")
                    .exception();
        }
    }

    /** Itself, or in the folder that it names a file called as the local one is. */
    RemoteFile named(Path local) {
        return path.isEmpty() || path.endsWith("/") ? new RemoteFile(service, path + local.getFileName()) : this;
    }

    /** The last part of the path. */
    String fileName() {
        String name = path.substring(path.lastIndexOf('/') + 1);
        if (name.isEmpty() || name.equals(".") || name.equals("..")) {
            throw Problem.of(Problem.Kind.INVALID, "'" + Text.printable(this.toString()) + "' names no file")
                    .next("give SERVICE:PATH")
                    .exception();
        }
        return name;
    }

    @Override
    public String toString() {
        return service + ":" + path;
    }
}
