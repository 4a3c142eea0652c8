/* The task that talks: it takes lines from connections, hands jobs to the working tasks and gives their answers back. */
#ifndef FRONT_H
#define FRONT_H

#include <ukernel.h>

/* Serves until the host asks for a stop, then finishes what is under way. `jobs` is our end of the channel to the working tasks.
 * 0, or 1 when it could not begin. */
int front_run(uk_handle_t jobs, unsigned workers);

#endif
