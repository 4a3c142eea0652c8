package dev.metacircular.vm;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;

/** Firecracker's configuration file ({@code --config-file}); the same words as its API's. */
final class FirecrackerConfiguration {
    private FirecrackerConfiguration() {}

    static String of(CarriedVm vm) {
        ObjectNode document = FirecrackerApi.object();
        document.set(
                "machine-config",
                FirecrackerApi.object().put("vcpu_count", vm.vcpus()).put("mem_size_mib", vm.memoryMebibytes()));
        document.set(
                "boot-source",
                FirecrackerApi.object()
                        .put("kernel_image_path", vm.kernel().toString())
                        // Without them Firecracker adds words of its own that are meant for Linux.
                        .put("boot_args", "")
                        .put("initrd_path", vm.initrd().toString()));
        ArrayNode drives = document.putArray("drives");
        int index = 0;
        for (Disk disk : vm.disks()) {
            drives.add(drive("disk" + index, disk.file(), disk.readOnly()));
            index++;
        }
        drives.add(drive("channel", vm.channel(), false));
        document.putArray("network-interfaces")
                .add(FirecrackerApi.object()
                        .put("iface_id", "net0")
                        .put("host_dev_name", vm.tap())
                        .put("guest_mac", vm.linkAddress()));
        return document.toString();
    }

    /** Of a guest that has nothing but a kernel. */
    static String ofProbe(Path kernel) {
        ObjectNode document = FirecrackerApi.object();
        document.set(
                "machine-config",
                FirecrackerApi.object().put("vcpu_count", 1).put("mem_size_mib", KvmProbe.MEMORY_MEBIBYTES));
        document.set(
                "boot-source",
                FirecrackerApi.object()
                        .put("kernel_image_path", kernel.toString())
                        .put("boot_args", ""));
        // It must be there.
        document.putArray("drives");
        return document.toString();
    }

    private static ObjectNode drive(String id, Path file, boolean readOnly) {
        return FirecrackerApi.object()
                .put("drive_id", id)
                .put("path_on_host", file.toString())
                .put("is_root_device", false)
                .put("is_read_only", readOnly);
    }
}
