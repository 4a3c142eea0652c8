package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.vm.ExitCause;
import dev.metacircular.vm.VmOutcome;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class OutcomesTest {
    private static int status(int workload, ExitCause cause) {
        return Outcomes.status(new VmOutcome.Exited(workload, cause, ""));
    }

    @Test
    void theWorkloadsStatusIsTheRunsAndNeverBecomesZeroByCutting() {
        assertThat(status(0, ExitCause.RETURNED)).isZero();
        assertThat(status(7, ExitCause.VM_EXIT)).isEqualTo(7);
        assertThat(status(139, ExitCause.FAULT)).isEqualTo(139);
        assertThat(status(256, ExitCause.RETURNED)).isEqualTo(255);
        assertThat(status(-1, ExitCause.RETURNED)).isEqualTo(255);
    }

    @Test
    void whereTheVmmOrTheKernelFailedItIs125() {
        assertThat(status(0, ExitCause.KERNEL_PANIC)).isEqualTo(125);
        VmOutcome refused = new VmOutcome.Exited(126, ExitCause.KERNEL_PANIC, "no manifest");
        assertThat(Outcomes.status(refused)).isEqualTo(125);
        assertThat(Outcomes.brief(refused)).isEqualTo("the kernel could not start the workload");
        assertThat(Outcomes.status(new VmOutcome.EndedWithoutStatus(""))).isEqualTo(125);
        assertThat(Outcomes.status(new VmOutcome.VmmFailed(OptionalInt.of(1), "no")))
                .isEqualTo(125);
        assertThat(Outcomes.status(new VmOutcome.Killed(VmOutcome.By.HOST, OptionalInt.of(9))))
                .isEqualTo(125);
        assertThat(Outcomes.status(new VmOutcome.Killed(VmOutcome.By.REQUEST, OptionalInt.empty())))
                .isEqualTo(137);
    }
}
