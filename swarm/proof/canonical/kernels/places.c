// Along rows of consecutive words: the place of an extreme, the variance, running sums.
#include "pool.h"
#include "rows.h"

typedef struct {
  const float *x;
  void *out;
  int64_t n;
  float divisor; // of a variance
  int32_t kind;  // 1: the least word; 1: the root of the variance
} along;

// ---- argmax, argmin: the first word that equals the extreme (-0 equals +0), or the first that is not a number

static int64_t place_of(const float *row, int64_t n, int least) {
  int64_t best = 0;
  for (int64_t i = 0; i < n; i++) {
    if (row[i] != row[i]) return i;
    if (least ? row[i] < row[best] : row[i] > row[best]) best = i;
  }
  return best;
}

// Blocks whose words are all numbers and none better than the best so far need no second look.
static int64_t place(const float *row, int64_t n, int least) {
  int64_t best = 0, i = 0;
  V turn = (V)vi_set1(least ? INT32_MIN : 0);
  for (; i + 4 * W <= n; i += 4 * W) {
    V so_far = (V)((VI)v_set1(row[best]) ^ (VI)turn);
    VI news = vi_set1(0);
    for (int k = 0; k < 4; k++) news |= ~((V)((VI)v_load(row + i + k * W) ^ (VI)turn) <= so_far);
    int any = 0;
    for (int k = 0; k < W; k++) any |= news[k];
    if (!any) continue;
    int64_t found = i + place_of(row + i, 4 * W, least);
    if (row[found] != row[found]) return found;
    if (least ? row[found] < row[best] : row[found] > row[best]) best = found;
  }
  if (i < n) {
    int64_t found = i + place_of(row + i, n - i, least);
    if (row[found] != row[found] || (least ? row[found] < row[best] : row[found] > row[best])) best = found;
  }
  return best;
}

static void place_work(void *context, int64_t from, int64_t to) {
  const along *a = context;
  for (int64_t row = from; row < to; row++) ((int64_t *)a->out)[row] = place(a->x + row * a->n, a->n, a->kind);
}

void canonical_place(int64_t *out, const float *x, int64_t rows, int64_t n, int32_t least) {
  along a = {x, out, n, 0.0f, least};
  pool_run(rows, row_grain(n), place_work, &a);
}

// ---- variance: sum of fma(x - mean, x - mean, acc), divided; its root

typedef struct { const float *row; V mean; } centred;

INLINE V centred_step(const void *context, int64_t i, int64_t left, V acc) {
  const centred *c = context;
  V away = row_kept(row_load(c->row, i, left) - c->mean, left);
  return v_fma(away, away, acc);
}

static float centred_block(const void *context, int64_t from, int64_t n) { return lanes_total(centred_step, context, from, n); }
static float plain_block(const void *context, int64_t from, int64_t n) { return plain_total((const float *)context + from, n); }

static void variance_work(void *context, int64_t from, int64_t to) {
  const along *a = context;
  for (int64_t row = from; row < to; row++) {
    const float *x = a->x + row * a->n;
    centred c = {x, v_set1(row_total(plain_block, x, 0, a->n) / (float)a->n)};
    float spread = row_total(centred_block, &c, 0, a->n) / a->divisor;
    ((float *)a->out)[row] = s_clean(a->kind ? s_sqrt(spread) : spread);
  }
}

void canonical_variance(float *out, const float *x, int64_t rows, int64_t n, float divisor, int32_t root) {
  along a = {x, out, n, divisor, root};
  pool_run(rows, row_grain(n), variance_work, &a);
}

// ---- running sums: ascending, from +0

static void running_work(void *context, int64_t from, int64_t to) {
  const along *a = context;
  for (int64_t row = from; row < to; row++) {
    const float *x = a->x + row * a->n;
    float *out = (float *)a->out + row * a->n, sum = 0.0f;
    for (int64_t i = 0; i < a->n; i++) {
      sum = sum + x[i];
      out[i] = s_clean(sum);
    }
  }
}

void canonical_running(float *out, const float *x, int64_t rows, int64_t n) {
  along a = {x, out, n, 0.0f, 0};
  pool_run(rows, row_grain(n), running_work, &a);
}
