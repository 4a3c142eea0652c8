package dev.metacircular.ukernel;

import dev.metacircular.image.ImageException;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.oci.OciException;
import dev.metacircular.vm.VmException;

/** The one mapping of what can go wrong to what is said and to the exit status. */
final class Failures {
    static final int FAILED = 1;
    static final int USAGE = 2;
    /** The VMM or the kernel failed, so that there is no status of the workload's. */
    static final int VMM_OR_KERNEL = 125;

    private Failures() {}

    static Problem problem(Exception e) {
        return switch (e) {
            case ProblemException known -> known.problem();
            case ImageException image -> Problem.of(Problem.Kind.FAILED, String.valueOf(image.getMessage()));
            case VmException vm -> problem(vm);
            case OciException oci -> problem(oci);
            default ->
                Problem.of(Problem.Kind.INTERNAL, "ukernel failed in a way that it should not: " + e)
                        .next("run it again with UKERNEL_DEBUG=1 for the stack trace, and report it");
        };
    }

    private static Problem problem(VmException e) {
        Problem problem = Problem.of(kind(e.fault()), e.what());
        return e.remedy().map(problem::next).orElse(problem);
    }

    private static Problem problem(OciException e) {
        Problem problem = Problem.of(kind(e.kind()), String.valueOf(e.getMessage()));
        return switch (e.kind()) {
            case UNREACHABLE ->
                problem.next(
                        "see that the image registry runs there; --insecure is for one without TLS, --ca FILE for one"
                                + " with an authority of its own");
            case DENIED -> problem.next("give the credentials: --auth-file FILE, or REGISTRY_AUTH_FILE");
            case NOT_FOUND -> problem.next("look at the reference: HOST[:PORT]/PATH[:TAG]");
            case DEADLINE -> problem.next("run it again; what the registry has by then is not sent again");
            case INVALID, FAILED -> problem;
        };
    }

    private static Problem.Kind kind(VmException.Fault fault) {
        return switch (fault) {
            case REQUEST, NAME_TAKEN -> Problem.Kind.INVALID;
            case HOST -> Problem.Kind.UNAVAILABLE;
            case VMM -> Problem.Kind.FAILED;
            case DEADLINE -> Problem.Kind.DEADLINE;
        };
    }

    private static Problem.Kind kind(OciException.Kind kind) {
        return switch (kind) {
            case NOT_FOUND -> Problem.Kind.NOT_FOUND;
            case DENIED -> Problem.Kind.NOT_PERMITTED;
            case UNREACHABLE -> Problem.Kind.UNAVAILABLE;
            case DEADLINE -> Problem.Kind.DEADLINE;
            case INVALID, FAILED -> Problem.Kind.FAILED;
        };
    }

    /** @param running whether it happened to {@code run}, where a VMM's failure has a status of its own */
    static int status(Exception e, boolean running) {
        if (e instanceof VmException) {
            return running ? VMM_OR_KERNEL : FAILED;
        }
        return problem(e).kind() == Problem.Kind.INVALID ? USAGE : FAILED;
    }
}
