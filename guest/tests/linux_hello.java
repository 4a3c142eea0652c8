/** Exercises what a JVM asks of a system: threads of both kinds, a fault as an exception, timers, collection, compiled code, files. */
class Hello {
    private static final long[] sums = new long[20];

    public static void main(String[] arguments) throws Exception {
        Thread virtual = Thread.ofVirtual().start(() -> System.out.println("virtual: " + Thread.currentThread().isVirtual()));
        virtual.join();
        Thread[] threads = new Thread[sums.length];
        for (int i = 0; i < threads.length; i++) {
            int number = i;
            threads[i] = Thread.ofPlatform().start(() -> count(number));
        }
        long total = 0;
        for (int i = 0; i < threads.length; i++) {
            threads[i].join();
            total += sums[i];
        }
        System.out.println("threads: " + total);
        System.out.println("fault: " + faults(null));
        long begun = System.nanoTime();
        Thread.sleep(30);
        System.out.println("timer: " + (System.nanoTime() - begun >= 30_000_000));
        System.gc();
        var file = java.nio.file.Files.writeString(java.nio.file.Path.of("/tmp/x"), "written");
        System.out.println("file: " + java.nio.file.Files.readString(file));
        System.out.println("hello from java " + Runtime.version().feature());
        System.exit(7);
    }

    private static void count(int number) {
        for (int i = 0; i < 100_000; i++) {
            sums[number] += i;
        }
    }

    /** The compiled and the interpreted read of nothing are a fault of the processor. */
    private static boolean faults(int[] nothing) {
        try {
            return nothing[0] == 0;
        } catch (NullPointerException expected) {
            return true;
        }
    }
}
