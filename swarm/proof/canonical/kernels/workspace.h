// Memory that a kernel needs while it works: one piece for each thread, which grows and is kept until the thread ends.
#ifndef CANONICAL_WORKSPACE_H
#define CANONICAL_WORKSPACE_H
#include <stddef.h>

// At least `bytes`, aligned to 64, with any content; the next call in this thread may give the same memory. Ends the process where there is none.
void *workspace(size_t bytes);

// At least `bytes` for the caller alone, who frees it. Ends the process where there is none.
void *reserved(size_t bytes);

#endif
