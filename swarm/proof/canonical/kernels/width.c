// What a build tells of itself.
#include "vector.h"

// Floats in a vector; no result depends on it.
int canonical_width(void) { return W; }
