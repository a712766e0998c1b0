// AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) in one pass over a tensor, in place.
//
//   p = MUL(p, decay); m = FMA(c1, SUB(g, m), m); v = FMA(MUL(c2, g), g, MUL(b2, v));
//   p = FMA(-step, DIV(m, ADD(DIV(SQRT(v), root), eps)), p)
#include "walk.h"

typedef struct { float decay, c1, b2, c2, root, eps, step; } rates;
typedef struct { V p, m, v; } state;

INLINE state adamw(const rates *r, V g, state s) {
  s.m = v_clean(v_fma(v_set1(r->c1), g - s.m, s.m));
  s.v = v_clean(v_fma(v_set1(r->c2) * g, g, v_set1(r->b2) * s.v));
  V size = v_sqrt(s.v) / v_set1(r->root) + v_set1(r->eps);
  s.p = v_clean(v_fma(v_set1(-r->step), s.m / size, s.p * v_set1(r->decay)));
  return s;
}

// Lanes i to i+n of a row
INLINE void adamw_part(const rates *r, float *const *at, const int64_t *step, int64_t i, int64_t n) {
  state s = {walk_load(at[0], step[0], i, n), walk_load(at[2], step[2], i, n), walk_load(at[3], step[3], i, n)};
  s = adamw(r, walk_load(at[1], step[1], i, n), s);
  walk_store(at[0], step[0], i, n, s.p);
  walk_store(at[2], step[2], i, n, s.m);
  walk_store(at[3], step[3], i, n, s.v);
}

static void adamw_rows(const void *context, const walk_rows *rows) {
  const rates r = *(const rates *)context;
  const int64_t *step = rows->step, *jump = rows->jump, n = rows->length, consecutive[] = {1, 1, 1, 1};
  const int dense = step[0] == 1 && step[1] == 1 && step[2] == 1 && step[3] == 1;
  for (int64_t row = 0; row < rows->count; row++) {
    float *at[4];
    for (int o = 0; o < 4; o++) at[o] = rows->at[o] + row * jump[o];
    int64_t i = 0;
    if (dense)
      for (; i + W <= n; i += W) adamw_part(&r, at, consecutive, i, W);
    for (; i < n; i += W) adamw_part(&r, at, step, i, n - i < W ? n - i : W);
  }
}

void canonical_adamw(const walk *shape, float *p, float *g, float *m, float *v, float decay, float c1, float b2, float c2, float root, float eps,
                     float step) {
  float *base[] = {p, g, m, v};
  rates r = {decay, c1, b2, c2, root, eps, step};
  walk_run(shape, base, adamw_rows, &r);
}
