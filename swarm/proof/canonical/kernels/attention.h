// What the two directions of attention share: small matrix products whose every sum ascends, transposition, scores, and which blocks of keys
// can be passed over.
//
// One head at a time, QUERIES by KEYS blocks. Scores lie as [key][query], so that a vector holds one key's scores of W queries, and every
// sum over keys is one addition after the other in each lane.
#ifndef CANONICAL_ATTENTION_H
#define CANONICAL_ATTENTION_H
#include <stdlib.h>
#include "pool.h"
#include "rows.h"

#define QUERIES 64
#define KEYS 64

typedef struct { int64_t batch, head, row; } steps; // strides in floats; within a row words are consecutive

typedef struct {
  int64_t batches, heads, queries, keys, other, size; // `size` words of a query and a key, `other` of a value
  int64_t causal;                                     // no query sees a later key
  int64_t group;                                      // heads of queries that share one of keys and values
  int64_t mask_query;                                 // 0 or 1: the mask's stride along queries; its rows are keys
  steps mask, query, key, value, out, sums, grad, dquery, dkey, dvalue; // sums: logsumexp; from grad on backward only
} attention_shape;

typedef struct {
  const attention_shape *shape;
  const float *query, *key, *value, *mask, *out, *sums, *grad;
  float scale;
  int skips; // a weight of +0 has no effect, whatever it is multiplied with
} head_of;

// ---- c[r][j] = fma over k ascending of a[r, k] * b[k][j], from +0, or from c where `more`

#define ROWS 6
#if REGISTER == 16 || defined(__aarch64__)
#define VECTORS 4
#elif W == REGISTER
#define VECTORS 2
#else
#define VECTORS 1
#endif

typedef struct { const float *at; int64_t row, step; } left_matrix;

INLINE void tile(const int rows, const int vectors, int64_t left, int64_t depth, left_matrix a, const float *b, int64_t b_row, float *c,
                 int64_t c_row, int more) {
  V acc[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) acc[r][v] = more ? row_load(c + r * c_row + v * W, 0, left - v * W) : v_set1(0.0f);
  for (int64_t k = 0; k < depth; k++) {
    V column[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) column[v] = row_load(b + k * b_row + v * W, 0, left - v * W);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      V one = v_set1(a.at[r * a.row + k * a.step]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) acc[r][v] = v_fma(one, column[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) row_store(c + r * c_row + v * W, 0, left - v * W, acc[r][v]);
}

INLINE void strip(const int vectors, int64_t left, int64_t rows, int64_t depth, left_matrix a, const float *b, int64_t b_row, float *c,
                  int64_t c_row, int more) {
  for (; rows >= ROWS; rows -= ROWS, a.at += ROWS * a.row, c += ROWS * c_row) tile(ROWS, vectors, left, depth, a, b, b_row, c, c_row, more);
  if (rows & 4) {
    tile(4, vectors, left, depth, a, b, b_row, c, c_row, more);
    a.at += 4 * a.row;
    c += 4 * c_row;
  }
  for (int64_t r = rows & 4; r < rows; r++, a.at += a.row, c += c_row) tile(1, vectors, left, depth, a, b, b_row, c, c_row, more);
}

__attribute__((unused, noinline)) static void product(int64_t rows, int64_t columns, int64_t depth, left_matrix a, const float *b, int64_t b_row,
                                                      float *c, int64_t c_row, int more) {
  int64_t j = 0;
  for (; j + VECTORS * W <= columns; j += VECTORS * W) strip(VECTORS, VECTORS * W, rows, depth, a, b + j, b_row, c + j, c_row, more);
  for (; j + W <= columns; j += W) strip(1, W, rows, depth, a, b + j, b_row, c + j, c_row, more);
  if (j < columns) strip(1, columns - j, rows, depth, a, b + j, b_row, c + j, c_row, more);
}

// ---- transposition: out[j][i] = x[i][j] for i < rows, +0 for rows <= i < W * n; out has rows of QUERIES words

typedef float four __attribute__((vector_size(16)));
typedef int32_t four_places __attribute__((vector_size(16)));
#if defined(__clang__)
#define FOUR(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define FOUR(a, b, i, j, k, l) __builtin_shuffle(a, b, (four_places){i, j, k, l})
#endif

// rows of four words to columns, in place
INLINE void turn_four(four *row) {
  four half[4];
  half[0] = FOUR(row[0], row[1], 0, 4, 1, 5);
  half[1] = FOUR(row[2], row[3], 0, 4, 1, 5);
  half[2] = FOUR(row[0], row[1], 2, 6, 3, 7);
  half[3] = FOUR(row[2], row[3], 2, 6, 3, 7);
  row[0] = FOUR(half[0], half[1], 0, 1, 4, 5);
  row[1] = FOUR(half[0], half[1], 2, 3, 6, 7);
  row[2] = FOUR(half[2], half[3], 0, 1, 4, 5);
  row[3] = FOUR(half[2], half[3], 2, 3, 6, 7);
}

__attribute__((unused)) static void turned(const float *x, int64_t x_row, int64_t rows, int64_t columns, float *out) {
  if (rows < QUERIES) memset(out, 0, columns * QUERIES * sizeof(float));
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      four row[4];
      for (int r = 0; r < 4; r++) memcpy(&row[r], x + (i + r) * x_row + j, sizeof(four));
      turn_four(row);
      for (int r = 0; r < 4; r++) memcpy(out + (j + r) * QUERIES + i, &row[r], sizeof(four));
    }
    for (; j < columns; j++)
      for (int r = 0; r < 4; r++) out[j * QUERIES + i + r] = x[(i + r) * x_row + j];
  }
  for (; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) out[j * QUERIES + i] = x[i * x_row + j];
}

// ---- scores: s[key][query] = fma over the size ascending of query * key, times scale, plus mask; -inf for later keys where causal

__attribute__((unused)) static void scores(const head_of *h, int64_t first, int64_t count, int64_t key, int64_t keys, const float *queries, float *s) {
  const attention_shape *shape = h->shape;
  int64_t columns = (count + W - 1) / W * W;
  product(keys, columns, shape->size, (left_matrix){h->key + key * shape->key.row, shape->key.row, 1}, queries, QUERIES, s, QUERIES, 0);
  V scale = v_set1(h->scale), never = v_set1(-__builtin_inff());
  int crosses = shape->causal && key + keys - 1 > first;
  for (int64_t j = 0; j < keys; j++) {
    const float *mask = h->mask ? h->mask + (key + j) * shape->mask.row : NULL;
    for (int64_t i = 0; i < columns; i += W) {
      V x = v_load(s + j * QUERIES + i) * scale;
      if (mask) x = x + (shape->mask_query ? row_load(mask + first + i, 0, count - i) : v_set1(*mask));
      if (crosses) {
        VI place;
        for (int l = 0; l < W; l++) place[l] = l;
        x = v_select(place < vi_set1((int32_t)(key + j - first - i)), never, x);
      }
      v_store(s + j * QUERIES + i, x);
    }
  }
}

// ---- blocks without effect

// The largest size of a word, +inf where one is not a number.
__attribute__((unused)) static float largest(const float *x, int64_t row, int64_t rows, int64_t columns) {
  V top = v_set1(0.0f), strange = v_set1(0.0f);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j += W) {
      V word = row_load(x + i * row, j, columns - j);
      top = v_larger((V)((VI)word & vi_set1(INT32_MAX)), top);
      strange = v_fma(word, v_set1(0.0f), strange);
    }
  float most = 0.0f;
  for (int l = 0; l < W; l++) {
    if (strange[l] != strange[l]) return __builtin_inff();
    most = top[l] > most ? top[l] : most;
  }
  return most;
}

// Whether these keys have weight +0 for all these queries: they come later, or the mask is -inf.
__attribute__((unused)) static int dead(const head_of *h, int64_t first, int64_t count, int64_t key, int64_t keys) {
  const attention_shape *shape = h->shape;
  if (!h->skips) return 0;
  if (shape->causal && key > first + count - 1) return 1;
  if (!h->mask) return 0;
  for (int64_t j = 0; j < keys; j++) {
    const float *mask = h->mask + (key + j) * shape->mask.row + (shape->mask_query ? first : 0);
    for (int64_t i = 0; i < (shape->mask_query ? count : 1); i++)
      if (mask[i] != -__builtin_inff()) return 0;
  }
  return 1;
}

INLINE const float *head_at(const float *x, steps by, int64_t batch, int64_t head) { return x ? x + batch * by.batch + head * by.head : NULL; }
INLINE int64_t padded(int64_t columns) { return (columns + W - 1) / W * W; }

#endif
