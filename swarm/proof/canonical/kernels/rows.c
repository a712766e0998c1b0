// Sums, means, norms, extremes and their places, variances and running sums.
//
// A tensor is (outer, n, inner) with a stride each; the n words at one place (o, i) are a row. Sums go as rows.h says; where the inner axis
// is the consecutive one, a vector holds one word of each of W rows, and every row still has its own 16 lanes.
#include <stdlib.h>
#include "pool.h"
#include "rows.h"
#include "workspace.h"

#define STRIP 128 // rows beside each other that are reduced together

enum kind { SUM, MEAN, NANSUM, NORM, HIGHEST, LOWEST };

typedef struct {
  int64_t outer, outer_step, n, step, inner, inner_step;
} layout;

typedef struct {
  enum kind kind;
  const float *x;
  float *out; // (outer, inner), row-major
  layout shape;
  float *partial; // of the blocks of each row, where rows are long
  int64_t blocks;
} reduction;

// ---- one vector of words into the lanes: SUM acc + x; NANSUM the same with +0 for what is not a number; NORM fma(x, x, acc)

INLINE V add_nan(V acc, V x) { return acc + v_select(x == x, x, v_set1(0.0f)); }
INLINE V nan_step(const void *row, int64_t i, int64_t left, V acc) { return add_nan(acc, row_load(row, i, left)); }
INLINE V square_step(const void *row, int64_t i, int64_t left, V acc) {
  V x = row_load(row, i, left);
  return v_fma(x, x, acc);
}

// ---- rows: up to 4096 consecutive words of each

// The greatest word (sign 0), or by turning every sign the negative of the least one: IEEE 754-2019.
static float extreme(const float *row, int64_t n, uint32_t sign) {
  float most = -__builtin_inff();
  VI strange = vi_set1(0);
  V top = v_set1(most), turn = (V)vi_set1((int32_t)sign);
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    V x = (V)((VI)v_load(row + i) ^ (VI)turn);
    strange |= x != x;
    top = v_larger(x, top);
  }
  for (int k = 0; k < W; k++) {
    if (strange[k]) return s_float(NAN_WORD);
    most = s_max(most, top[k]);
  }
  for (; i < n; i++) most = s_max(most, s_float(s_word(row[i]) ^ sign));
  if (most == 0.0f) // v_larger does not tell the zeros apart
    for (i = 0; i < n; i++) most = s_max(most, s_float(s_word(row[i]) ^ sign));
  return s_float(s_word(most) ^ (most == most ? sign : 0));
}

static float block_of(enum kind kind, const float *row, int64_t n) {
  switch (kind) {
  case NANSUM: return lanes_total(nan_step, row, 0, n);
  case NORM: return lanes_total(square_step, row, 0, n);
  case HIGHEST: return extreme(row, n, 0);
  case LOWEST: return extreme(row, n, 0x80000000);
  default: return plain_total(row, n);
  }
}

static float strided_block(const reduction *r, const float *row, int64_t n) {
  int64_t step = r->shape.step;
  if (step == 1) return block_of(r->kind, row, n);
  float words[BLOCK];
  for (int64_t i = 0; i < n; i++) words[i] = row[i * step];
  return block_of(r->kind, words, n);
}

// Blocks of blocks: a sum of squares is a plain sum from the second level on.
static float joined(enum kind kind, const float *partial, int64_t n) {
  if (kind == HIGHEST || kind == LOWEST) return extreme(partial, n, kind == HIGHEST ? 0 : 0x80000000);
  if (n <= BLOCK) return plain_total(partial, n);
  int64_t count = (n + BLOCK - 1) / BLOCK;
  float *sums = reserved(count * sizeof(float)), sum;
  for (int64_t b = 0; b < count; b++) sums[b] = plain_total(partial + b * BLOCK, b + 1 < count ? BLOCK : n - b * BLOCK);
  sum = joined(kind, sums, count);
  free(sums);
  return sum;
}

static float finished(const reduction *r, float sum) {
  if (r->kind == MEAN) sum = sum / (float)r->shape.n;
  if (r->kind == NORM) sum = s_sqrt(sum);
  return s_clean(sum);
}

// Rows are numbered row-major over (outer, inner).
typedef struct { int64_t outer, inner; } place;

INLINE place place_of(const layout *shape, int64_t row) { return (place){row / shape->inner, row % shape->inner}; }

INLINE const float *next_row(const reduction *r, place *at) {
  const float *row = r->x + at->outer * r->shape.outer_step + at->inner * r->shape.inner_step;
  if (++at->inner == r->shape.inner) {
    at->inner = 0;
    at->outer++;
  }
  return row;
}

// Plain sums of four rows at once: one row alone waits for every addition.
static void four_rows(const float *const *row, int64_t n, float *out) {
  lanes sums[4];
  int64_t i = 0;
  memset(sums, 0, sizeof sums);
  for (; i + LANES <= n; i += LANES)
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
      for (int p = 0; p < PARTS; p++) sums[k].part[p] = sums[k].part[p] + v_load(row[k] + i + p * W);
  for (int p = 0; i + p * W < n; p++)
    for (int k = 0; k < 4; k++) sums[k].part[p] = sums[k].part[p] + row_load(row[k], i + p * W, n - i - p * W);
  for (int k = 0; k < 4; k++) out[k] = lanes_tree(&sums[k]);
}

static void block_work(void *context, int64_t from, int64_t to) {
  const reduction *r = context;
  for (int64_t item = from; item < to; item++) {
    place at = place_of(&r->shape, item / r->blocks);
    int64_t first = item % r->blocks * BLOCK, left = r->shape.n - first;
    r->partial[item] = strided_block(r, next_row(r, &at) + first * r->shape.step, left < BLOCK ? left : BLOCK);
  }
}

static void row_work(void *context, int64_t from, int64_t to) {
  const reduction *r = context;
  place at = place_of(&r->shape, from);
  int64_t row = from;
  if (r->shape.step == 1 && (r->kind == SUM || r->kind == MEAN))
    for (; row + 4 <= to; row += 4) {
      const float *rows[4];
      for (int k = 0; k < 4; k++) rows[k] = next_row(r, &at);
      four_rows(rows, r->shape.n, r->out + row);
      for (int k = 0; k < 4; k++) r->out[row + k] = finished(r, r->out[row + k]);
    }
  for (; row < to; row++) r->out[row] = finished(r, strided_block(r, next_row(r, &at), r->shape.n));
}

static void joined_work(void *context, int64_t from, int64_t to) {
  const reduction *r = context;
  for (int64_t row = from; row < to; row++) r->out[row] = finished(r, joined(r->kind, r->partial + row * r->blocks, r->blocks));
}

static void reduce_rows(reduction *r) {
  int64_t rows = r->shape.outer * r->shape.inner;
  if (r->shape.n <= BLOCK) {
    pool_run(rows, row_grain(r->shape.n), row_work, r);
    return;
  }
  r->blocks = (r->shape.n + BLOCK - 1) / BLOCK;
  r->partial = reserved(rows * r->blocks * sizeof(float));
  pool_run(rows * r->blocks, row_grain(BLOCK), block_work, r);
  pool_run(rows, row_grain(r->blocks), joined_work, r);
  free(r->partial);
}

// ---- columns: a strip of rows beside each other, word k of all of them consecutive

INLINE V column_step(enum kind kind, V acc, V x) {
  switch (kind) {
  case NANSUM: return add_nan(acc, x);
  case NORM: return v_fma(x, x, acc);
  case HIGHEST: return v_max(acc, x);
  case LOWEST: return v_min(acc, x);
  default: return acc + x;
  }
}

INLINE void column_block(enum kind kind, const float *x, int64_t step, int64_t n, int64_t width, float *out) {
  float lane[LANES][STRIP];
  float start = kind == HIGHEST ? -__builtin_inff() : kind == LOWEST ? __builtin_inff() : 0.0f;
  for (int l = 0; l < LANES; l++)
    for (int64_t c = 0; c < STRIP; c++) lane[l][c] = start;
  for (int64_t k = 0; k < n; k++)
    for (int64_t c = 0; c < width; c += W)
      v_store(lane[k % LANES] + c, column_step(kind, v_load(lane[k % LANES] + c), row_load(x + k * step, c, width - c)));
  enum kind tree = kind == HIGHEST || kind == LOWEST ? kind : SUM;
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++)
      for (int64_t c = 0; c < width; c += W) v_store(lane[l] + c, column_step(tree, v_load(lane[l] + c), v_load(lane[l + half] + c)));
  memcpy(out, lane[0], width * sizeof(float));
}

static void column_kind(enum kind kind, const float *x, int64_t step, int64_t n, int64_t width, float *out) {
  switch (kind) {
  case NANSUM: column_block(NANSUM, x, step, n, width, out); break;
  case NORM: column_block(NORM, x, step, n, width, out); break;
  case HIGHEST: column_block(HIGHEST, x, step, n, width, out); break;
  case LOWEST: column_block(LOWEST, x, step, n, width, out); break;
  default: column_block(SUM, x, step, n, width, out);
  }
}

static void columns(enum kind kind, const float *x, int64_t step, int64_t n, int64_t width, float *out) {
  if (n <= BLOCK) {
    column_kind(kind, x, step, n, width, out);
    return;
  }
  int64_t count = (n + BLOCK - 1) / BLOCK;
  float *sums = reserved(count * width * sizeof(float));
  for (int64_t b = 0; b < count; b++)
    column_kind(kind, x + b * BLOCK * step, step, b + 1 < count ? BLOCK : n - b * BLOCK, width, sums + b * width);
  columns(kind == NORM || kind == NANSUM ? SUM : kind, sums, width, count, width, out);
  free(sums);
}

static void strip_work(void *context, int64_t from, int64_t to) {
  const reduction *r = context;
  int64_t strips = (r->shape.inner + STRIP - 1) / STRIP;
  for (int64_t item = from; item < to; item++) {
    int64_t outer = item / strips, first = item % strips * STRIP;
    int64_t width = r->shape.inner - first < STRIP ? r->shape.inner - first : STRIP;
    float *out = r->out + outer * r->shape.inner + first;
    columns(r->kind, r->x + outer * r->shape.outer_step + first, r->shape.step, r->shape.n, width, out);
    for (int64_t c = 0; c < width; c++) out[c] = finished(r, out[c]);
  }
}

// out[o, i] is the sum, mean, ... of x[o, :, i].
void canonical_reduce(int32_t kind, float *out, const float *x, const layout *shape) {
  reduction r = {(enum kind)kind, x, out, *shape, NULL, 0};
  if (shape->step == 1 || shape->inner_step != 1 || shape->inner == 1) reduce_rows(&r);
  else pool_run(shape->outer * ((shape->inner + STRIP - 1) / STRIP), row_grain(shape->n * STRIP), strip_work, &r);
}
