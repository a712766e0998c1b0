// Threads that persist: work is split over outputs only, never over a reduction, so the number of threads changes no bit.
#ifndef CANONICAL_POOL_H
#define CANONICAL_POOL_H
#include <stdint.h>

typedef void (*pool_work)(void *context, int64_t from, int64_t to);

// Calls work(context, from, to) for parts of [0, n) that cover it once; `from` is a multiple of `grain` and n <= grain is one call in this
// thread. In every thread the processor rounds to nearest and keeps subnormals while work runs. Safe from several threads and after fork.
void pool_run(int64_t n, int64_t grain, pool_work work, void *context);

// How many threads pool_run uses, the caller's included (1 to 256).
void canonical_threads(int64_t count);
int64_t pool_threads(void);

#endif
