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

static void adamw_row(const void *context, float *const *at, const int64_t *step, int64_t n) {
  const rates r = *(const rates *)context;
  int64_t i = 0;
  if (walk_dense(step, 4))
    for (; i + W <= n; i += W) {
      state s = adamw(&r, v_load(at[1] + i), (state){v_load(at[0] + i), v_load(at[2] + i), v_load(at[3] + i)});
      v_store(at[0] + i, s.p);
      v_store(at[2] + i, s.m);
      v_store(at[3] + i, s.v);
    }
  for (; i < n; i += W) {
    int64_t lanes = n - i < W ? n - i : W;
    state s = {walk_load(at[0], step[0], i, lanes), walk_load(at[2], step[2], i, lanes), walk_load(at[3], step[3], i, lanes)};
    s = adamw(&r, walk_load(at[1], step[1], i, lanes), s);
    walk_store(at[0], step[0], i, lanes, s.p);
    walk_store(at[2], step[2], i, lanes, s.m);
    walk_store(at[3], step[3], i, lanes, s.v);
  }
}

void canonical_adamw(const walk *shape, float *p, float *g, float *m, float *v, float decay, float c1, float b2, float c2, float root, float eps,
                     float step) {
  float *base[] = {p, g, m, v};
  rates r = {decay, c1, b2, c2, root, eps, step};
  walk_run(shape, base, adamw_row, &r);
}
