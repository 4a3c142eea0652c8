/* Process 1 of the Linux guest of bench/boot: says hello, with the time of its first instruction on the kernel's own clock, and ends the machine. */
#include <stdio.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("hello from Linux %ld us after its clock began\n", now.tv_sec * 1000000 + now.tv_nsec / 1000);
    fflush(stdout);
    reboot(RB_AUTOBOOT);
    for (;;) pause();
}
