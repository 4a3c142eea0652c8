/* Looks up each of its arguments and says what it is: "db 10.0.0.7", or "gone failed 2" with the result. */
#include <stdio.h>
#include <uk_net.h>
#include <uk_time.h>

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct uk_net_address address;
        char text[UK_NET_ADDRESS_TEXT_BYTES_MAX];
        result_t result = uk_net_resolve(argv[i], 80, uk_after(4 * UK_SECOND), &address);
        if (result == UK_OK) printf("%s %s\n", argv[i], uk_net_format(&address, text));
        else printf("%s failed %u\n", argv[i], (unsigned)result);
    }
    return 0;
}
