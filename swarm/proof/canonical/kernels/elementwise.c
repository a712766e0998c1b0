// Element-by-element operators of one or two scalar codes. NOT A NUMBER comes out as 0x7fc00000.
#include "walk.h"

// neg: NEG(a)
WALK_ROW_1(neg_row, v_neg(a))
void canonical_neg(const walk *shape, float *out, float *a) {
  float *base[] = {out, a};
  walk_run(shape, base, neg_row, NULL);
}

// add: ADD(a, b); with another alpha than 1: FMA(alpha, b, a)
WALK_ROW_2(add_row, v_clean(a + b))
WALK_ROW_2(add_scaled_row, v_clean(v_fma(v_set1(*(const float *)context), b, a)))
void canonical_add(const walk *shape, float *out, float *a, float *b, float alpha) {
  float *base[] = {out, a, b};
  walk_run(shape, base, alpha == 1 ? add_row : add_scaled_row, &alpha);
}
