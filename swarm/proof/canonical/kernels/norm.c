// Layer norm along rows of n consecutive words, forward and backward. Sums along a row and over rows are those of rows.h.
//
//   d = x - sum(x) / n; r = 1 / sqrt(sum of squares of d / n + eps); y = fma(d * r, weight, bias)
//   h = (x - mean) * r; u = grad * weight; dx = r * fma(-h, dot(u, h) / n, u - sum(u) / n); dweight = dot over rows of grad and h
#include <stdlib.h>
#include "pool.h"
#include "rows.h"
#include "workspace.h"

#define STRIP 128

typedef struct {
  float *out, *mean, *scale;
  const float *x, *weight, *bias, *grad;
  int64_t rows, n;
  float eps;
} normed;

typedef struct {
  const float *x, *grad, *weight;
  V mean, scale;
} row_of;

static float plain_block(const void *context, int64_t from, int64_t n) { return plain_total((const float *)context + from, n); }

INLINE V away_step(const void *context, int64_t i, int64_t left, V acc) {
  const row_of *r = context;
  V away = row_kept(row_load(r->x, i, left) - r->mean, left);
  return v_fma(away, away, acc);
}

static float away_block(const void *context, int64_t from, int64_t n) { return lanes_total(away_step, context, from, n); }

// y of words i to i + W
INLINE V scaled(const normed *a, V h, int64_t i, int64_t left) {
  if (a->weight && a->bias) return v_fma(h, row_load(a->weight, i, left), row_load(a->bias, i, left));
  if (a->weight) return h * row_load(a->weight, i, left);
  return a->bias ? h + row_load(a->bias, i, left) : h;
}

static void forward_work(void *context, int64_t from, int64_t to) {
  const normed *a = context;
  for (int64_t row = from; row < to; row++) {
    const float *x = a->x + row * a->n;
    float *out = a->out + row * a->n;
    float mean = row_total(plain_block, x, 0, a->n) / (float)a->n;
    row_of r = {x, NULL, NULL, v_set1(mean), v_set1(0.0f)};
    float scale = 1.0f / s_sqrt(row_total(away_block, &r, 0, a->n) / (float)a->n + a->eps);
    a->mean[row] = s_clean(mean);
    a->scale[row] = s_clean(scale);
    V by = v_set1(scale);
    for (int64_t i = 0; i < a->n; i += W) {
      int64_t left = a->n - i;
      row_store(out, i, left, v_clean(scaled(a, (row_load(x, i, left) - r.mean) * by, i, left)));
    }
  }
}

void canonical_layer_norm(float *out, float *mean, float *scale, const float *x, const float *weight, const float *bias, int64_t rows, int64_t n,
                          float eps) {
  normed a = {out, mean, scale, x, weight, bias, NULL, rows, n, eps};
  pool_run(rows, row_grain(n), forward_work, &a);
}

// ---- backward to the input: a row at a time

INLINE V through(const row_of *r, int64_t i, int64_t left) { // h
  return (row_load(r->x, i, left) - r->mean) * r->scale;
}
INLINE V weighed(const row_of *r, int64_t i, int64_t left) { // u
  V grad = row_load(r->grad, i, left);
  return r->weight ? grad * row_load(r->weight, i, left) : grad;
}

INLINE V weighed_step(const void *context, int64_t i, int64_t left, V acc) { return acc + weighed(context, i, left); }
INLINE V share_step(const void *context, int64_t i, int64_t left, V acc) {
  return v_fma(weighed(context, i, left), row_kept(through(context, i, left), left), acc);
}

static float weighed_block(const void *context, int64_t from, int64_t n) { return lanes_total(weighed_step, context, from, n); }
static float share_block(const void *context, int64_t from, int64_t n) { return lanes_total(share_step, context, from, n); }

static void input_work(void *context, int64_t from, int64_t to) {
  const normed *a = context;
  for (int64_t row = from; row < to; row++) {
    row_of r = {a->x + row * a->n, a->grad + row * a->n, a->weight, v_set1(a->mean[row]), v_set1(a->scale[row])};
    float *out = a->out + row * a->n;
    V middle = v_set1(row_total(weighed_block, &r, 0, a->n) / (float)a->n);
    V share = v_set1(row_total(share_block, &r, 0, a->n) / (float)a->n);
    for (int64_t i = 0; i < a->n; i += W) {
      int64_t left = a->n - i;
      row_store(out, i, left, v_clean(r.scale * v_fma(-through(&r, i, left), share, weighed(&r, i, left) - middle)));
    }
  }
}

void canonical_layer_norm_input(float *out, const float *grad, const float *x, const float *mean, const float *scale, const float *weight,
                                int64_t rows, int64_t n) {
  normed a = {out, (float *)mean, (float *)scale, x, weight, NULL, grad, rows, n, 0.0f};
  pool_run(rows, row_grain(n), input_work, &a);
}

// ---- backward to the weight: over rows, a strip of columns at a time, each column in its own 16 lanes of rows

static void weight_block(const normed *a, int64_t first, int64_t from, int64_t rows, int64_t width, float *out) {
  float lane[LANES][STRIP];
  memset(lane, 0, sizeof lane);
  for (int64_t k = 0; k < rows; k++) {
    int64_t row = from + k;
    row_of r = {a->x + row * a->n + first, a->grad + row * a->n + first, NULL, v_set1(a->mean[row]), v_set1(a->scale[row])};
    for (int64_t c = 0; c < width; c += W)
      v_store(lane[k % LANES] + c, v_fma(weighed(&r, c, width - c), through(&r, c, width - c), v_load(lane[k % LANES] + c)));
  }
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++)
      for (int64_t c = 0; c < width; c += W) v_store(lane[l] + c, v_load(lane[l] + c) + v_load(lane[l + half] + c));
  memcpy(out, lane[0], width * sizeof(float));
}

typedef struct { const float *sums; int64_t width, column; } column_of;

static float column_block(const void *context, int64_t from, int64_t n) {
  const column_of *c = context;
  float words[BLOCK];
  for (int64_t i = 0; i < n; i++) words[i] = c->sums[(from + i) * c->width + c->column];
  return plain_total(words, n);
}

static void weight_work(void *context, int64_t from, int64_t to) {
  const normed *a = context;
  int64_t blocks = (a->rows + BLOCK - 1) / BLOCK;
  for (int64_t strip = from; strip < to; strip++) {
    int64_t first = strip * STRIP, width = a->n - first < STRIP ? a->n - first : STRIP;
    float *sums = reserved(blocks * width * sizeof(float));
    for (int64_t b = 0; b < blocks; b++)
      weight_block(a, first, b * BLOCK, b + 1 < blocks ? BLOCK : a->rows - b * BLOCK, width, sums + b * width);
    column_of c = {sums, width, 0};
    for (; c.column < width; c.column++)
      a->out[first + c.column] = s_clean(blocks == 1 ? sums[c.column] : row_total(column_block, &c, 0, blocks));
    free(sums);
  }
}

void canonical_layer_norm_weight(float *out, const float *grad, const float *x, const float *mean, const float *scale, int64_t rows, int64_t n) {
  normed a = {out, (float *)mean, (float *)scale, x, NULL, NULL, grad, rows, n, 0.0f};
  pool_run((n + STRIP - 1) / STRIP, row_grain(rows * STRIP), weight_work, &a);
}
