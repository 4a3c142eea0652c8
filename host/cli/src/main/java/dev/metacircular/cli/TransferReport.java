package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A file that was moved.
 *
 * @param path where it is in the service's folder
 */
record TransferReport(Name node, Name service, String path, long sizeBytes, int mode) {
    /**
     * Tells it, to programs or to people.
     *
     * @param local where it is here, if that is told
     * @return the exit status
     */
    int print(Session session, Optional<Path> local, String toPeople) {
        if (!session.json()) {
            session.out().println(toPeople);
            return ExitStatus.DONE;
        }
        Map<String, @Nullable Object> json = new LinkedHashMap<>(
                Json.object("result", "ok", "node", node.value(), "service", service.value(), "path", path));
        local.ifPresent(l -> json.put("file", l.toString()));
        json.put("size_bytes", sizeBytes);
        json.put("mode", Mode.octal(mode));
        session.out().println(Json.write(json));
        return ExitStatus.DONE;
    }
}
