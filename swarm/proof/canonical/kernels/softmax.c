// Softmax, log-softmax, logsumexp and their backward passes along rows of n consecutive words. Sums are those of rows.h.
//
// The maximum found here may be either zero and passes over what is not a number: exp(x - max) does not tell the zeros apart, and the sum is
// not a number where a word is not.
#include "math.h"
#include "pool.h"
#include "rows.h"

typedef struct {
  float *out;
  const float *x, *y;
  int64_t n;
  int32_t safe;
} softened;

typedef struct {
  const float *x, *y;
  float *out;
  V less;
} row_of;

// e = exp(x - less), kept in out; acc + e
INLINE V power_step(const void *context, int64_t i, int64_t left, V acc) {
  const row_of *r = context;
  V e = v_exp(row_load(r->x, i, left) - r->less);
  row_store(r->out, i, left, e);
  return acc + row_kept(e, left);
}

INLINE V power_only_step(const void *context, int64_t i, int64_t left, V acc) {
  const row_of *r = context;
  return acc + row_kept(v_exp(row_load(r->x, i, left) - r->less), left);
}

INLINE V product_step(const void *context, int64_t i, int64_t left, V acc) {
  const row_of *r = context;
  return v_fma(row_load(r->x, i, left), row_load(r->y, i, left), acc);
}

static float power_block(const void *context, int64_t from, int64_t n) { return lanes_total(power_step, context, from, n); }
static float power_only_block(const void *context, int64_t from, int64_t n) { return lanes_total(power_only_step, context, from, n); }
static float product_block(const void *context, int64_t from, int64_t n) { return lanes_total(product_step, context, from, n); }
static float plain_block(const void *context, int64_t from, int64_t n) { return plain_total(((const row_of *)context)->x + from, n); }

INLINE float s_log(float x) {
  V v = v_log(v_set1(x));
  return v[0];
}

// ---- softmax: e * (1 / sum of e)

static void softmax_work(void *context, int64_t from, int64_t to) {
  const softened *s = context;
  for (int64_t row = from; row < to; row++) {
    const float *x = s->x + row * s->n;
    float *out = s->out + row * s->n, top = row_top(x, s->n);
    row_of r = {x, NULL, out, v_set1(top)};
    V share = v_set1(1.0f / row_total(power_block, &r, 0, s->n));
    if (s->safe && top == -__builtin_inff()) { // nothing but -inf, or not a number
      int64_t k = 0;
      while (k < s->n && x[k] == top) k++;
      if (k == s->n) {
        memset(out, 0, s->n * sizeof(float));
        continue;
      }
    }
    for (int64_t i = 0; i < s->n; i += W) row_store(out, i, s->n - i, v_clean(row_load(out, i, s->n - i) * share));
  }
}

void canonical_softmax(float *out, const float *x, int64_t rows, int64_t n, int32_t safe) {
  softened s = {out, x, NULL, n, safe};
  pool_run(rows, row_grain(n), softmax_work, &s);
}

// ---- log-softmax: (x - max) - log of the sum

static void log_softmax_work(void *context, int64_t from, int64_t to) {
  const softened *s = context;
  for (int64_t row = from; row < to; row++) {
    const float *x = s->x + row * s->n;
    float *out = s->out + row * s->n;
    row_of r = {x, NULL, out, v_set1(row_top(x, s->n))};
    V scale = v_set1(s_log(row_total(power_only_block, &r, 0, s->n)));
    for (int64_t i = 0; i < s->n; i += W) row_store(out, i, s->n - i, v_clean((row_load(x, i, s->n - i) - r.less) - scale));
  }
}

void canonical_log_softmax(float *out, const float *x, int64_t rows, int64_t n) {
  softened s = {out, x, NULL, n, 0};
  pool_run(rows, row_grain(n), log_softmax_work, &s);
}

// ---- logsumexp: log of the sum + max, where an infinite max counts as +0

static void logsumexp_work(void *context, int64_t from, int64_t to) {
  const softened *s = context;
  for (int64_t row = from; row < to; row++) {
    const float *x = s->x + row * s->n;
    float top = row_top(x, s->n);
    if (top - top != 0.0f) top = 0.0f;
    row_of r = {x, NULL, NULL, v_set1(top)};
    s->out[row] = s_clean(s_log(row_total(power_only_block, &r, 0, s->n)) + top);
  }
}

void canonical_logsumexp(float *out, const float *x, int64_t rows, int64_t n) {
  softened s = {out, x, NULL, n, 0};
  pool_run(rows, row_grain(n), logsumexp_work, &s);
}

// ---- backward: x is the gradient, y what went forward. Softmax (x - dot(x, y)) * y; log-softmax fma(-exp(y), sum of x, x)

static void softmax_back_work(void *context, int64_t from, int64_t to) {
  const softened *s = context;
  for (int64_t row = from; row < to; row++) {
    row_of r = {s->x + row * s->n, s->y + row * s->n, s->out + row * s->n, v_set1(0.0f)};
    V dot = v_set1(row_total(product_block, &r, 0, s->n));
    for (int64_t i = 0; i < s->n; i += W)
      row_store(r.out, i, s->n - i, v_clean((row_load(r.x, i, s->n - i) - dot) * row_load(r.y, i, s->n - i)));
  }
}

void canonical_softmax_backward(float *out, const float *grad, const float *y, int64_t rows, int64_t n) {
  softened s = {out, grad, y, n, 0};
  pool_run(rows, row_grain(n), softmax_back_work, &s);
}

static void log_softmax_back_work(void *context, int64_t from, int64_t to) {
  const softened *s = context;
  for (int64_t row = from; row < to; row++) {
    row_of r = {s->x + row * s->n, s->y + row * s->n, s->out + row * s->n, v_set1(0.0f)};
    V sum = v_set1(row_total(plain_block, &r, 0, s->n));
    for (int64_t i = 0; i < s->n; i += W)
      row_store(r.out, i, s->n - i, v_clean(v_fma(-v_exp(row_load(r.y, i, s->n - i)), sum, row_load(r.x, i, s->n - i))));
  }
}

void canonical_log_softmax_backward(float *out, const float *grad, const float *y, int64_t rows, int64_t n) {
  softened s = {out, grad, y, n, 0};
  pool_run(rows, row_grain(n), log_softmax_back_work, &s);
}
