// Element-by-element kernels over tensors of any strides. Python merges what can be merged (ops/operand.py) and hands over a `walk`; here it
// is run as rows along the innermost axis.
#ifndef CANONICAL_WALK_H
#define CANONICAL_WALK_H
#include "pool.h"
#include "vector.h"

#define WALK_AXES 12
#define WALK_OPERANDS 8

typedef struct {
  int64_t axes, operands;
  int64_t size[WALK_AXES];                   // innermost last
  int64_t stride[WALK_OPERANDS][WALK_AXES]; // in floats; operand 0 is the output
} walk;

// Rows of `length` elements, one after another: element i of row r of operand o lies at at[o][r * jump[o] + i * step[o]].
typedef struct {
  float *at[WALK_OPERANDS];
  int64_t step[WALK_OPERANDS], jump[WALK_OPERANDS], length, count;
} walk_rows;

typedef void (*walk_work)(const void *context, const walk_rows *rows);

// Calls `work` for rows and parts of rows that cover the walk once, in parallel. base[o] is where operand o starts.
void walk_run(const walk *shape, float *const *base, walk_work work, const void *context);

// Lanes i to i+n of an operand of a row.
INLINE V walk_load(const float *at, int64_t step, int64_t i, int64_t n) {
  if (step == 0) return v_set1(*at);
  if (step == 1) return n == W ? v_load(at + i) : v_load_part(at + i, n);
  return v_load_strided(at + i * step, step, n);
}

INLINE void walk_store(float *at, int64_t step, int64_t i, int64_t n, V v) {
  if (step != 1) v_store_strided(at + i * step, v, step, n);
  else if (n == W) v_store(at + i, v);
  else v_store_part(at + i, v, n);
}

// Work on rows: `expression` gives the output's V from a, b, c: the operands 1, 2, 3. Whole vectors of consecutive words first; of rows with
// one number beside them; of any layout; then the rest of a row. (Locals, since a store may change what `rows` points to, for all C knows.)
#define WALK_ROWS_1(name, expression)                                                                        \
  static void name(const void *context, const walk_rows *rows) {                                             \
    (void)context;                                                                                           \
    float *out = rows->at[0], *as = rows->at[1];                                                             \
    const int64_t n = rows->length, out_step = rows->step[0], a_step = rows->step[1];                        \
    const int dense = out_step == 1 && a_step == 1;                                                          \
    for (int64_t row = 0; row < rows->count; row++) {                                                        \
      int64_t i = 0;                                                                                         \
      if (dense)                                                                                             \
        for (; i + W <= n; i += W) {                                                                         \
          V a = v_load(as + i);                                                                              \
          v_store(out + i, (expression));                                                                    \
        }                                                                                                    \
      for (; i + W <= n; i += W) {                                                                           \
        V a = walk_load(as, a_step, i, W);                                                                   \
        walk_store(out, out_step, i, W, (expression));                                                       \
      }                                                                                                      \
      if (i < n) {                                                                                           \
        V a = walk_load(as, a_step, i, n - i);                                                               \
        walk_store(out, out_step, i, n - i, (expression));                                                   \
      }                                                                                                      \
      out += rows->jump[0], as += rows->jump[1];                                                             \
    }                                                                                                        \
  }

#define WALK_ROWS_2(name, expression)                                                                         \
  static void name(const void *context, const walk_rows *rows) {                                              \
    (void)context;                                                                                            \
    float *out = rows->at[0], *as = rows->at[1], *bs = rows->at[2];                                           \
    const int64_t n = rows->length, out_step = rows->step[0], a_step = rows->step[1], b_step = rows->step[2]; \
    const int dense = out_step == 1 && a_step == 1 && b_step == 1;                                            \
    for (int64_t row = 0; row < rows->count; row++) {                                                         \
      int64_t i = 0;                                                                                          \
      if (dense)                                                                                              \
        for (; i + W <= n; i += W) {                                                                          \
          V a = v_load(as + i), b = v_load(bs + i);                                                           \
          v_store(out + i, (expression));                                                                     \
        }                                                                                                     \
      else if (out_step == 1 && a_step == 1 && b_step == 0)                                                   \
        for (; i + W <= n; i += W) {                                                                          \
          V a = v_load(as + i), b = v_set1(*bs);                                                              \
          v_store(out + i, (expression));                                                                     \
        }                                                                                                     \
      else if (out_step == 1 && a_step == 0 && b_step == 1)                                                   \
        for (; i + W <= n; i += W) {                                                                          \
          V a = v_set1(*as), b = v_load(bs + i);                                                              \
          v_store(out + i, (expression));                                                                     \
        }                                                                                                     \
      for (; i + W <= n; i += W) {                                                                            \
        V a = walk_load(as, a_step, i, W), b = walk_load(bs, b_step, i, W);                                   \
        walk_store(out, out_step, i, W, (expression));                                                        \
      }                                                                                                       \
      if (i < n) {                                                                                            \
        V a = walk_load(as, a_step, i, n - i), b = walk_load(bs, b_step, i, n - i);                           \
        walk_store(out, out_step, i, n - i, (expression));                                                    \
      }                                                                                                       \
      out += rows->jump[0], as += rows->jump[1], bs += rows->jump[2];                                         \
    }                                                                                                         \
  }

#define WALK_ROWS_3(name, expression)                                                                                                 \
  static void name(const void *context, const walk_rows *rows) {                                                                      \
    (void)context;                                                                                                                    \
    float *out = rows->at[0], *as = rows->at[1], *bs = rows->at[2], *cs = rows->at[3];                                                \
    const int64_t n = rows->length, out_step = rows->step[0], a_step = rows->step[1], b_step = rows->step[2], c_step = rows->step[3]; \
    const int dense = out_step == 1 && a_step == 1 && b_step == 1 && c_step == 1;                                                     \
    for (int64_t row = 0; row < rows->count; row++) {                                                                                 \
      int64_t i = 0;                                                                                                                  \
      if (dense)                                                                                                                      \
        for (; i + W <= n; i += W) {                                                                                                  \
          V a = v_load(as + i), b = v_load(bs + i), c = v_load(cs + i);                                                               \
          v_store(out + i, (expression));                                                                                             \
        }                                                                                                                             \
      for (; i + W <= n; i += W) {                                                                                                    \
        V a = walk_load(as, a_step, i, W), b = walk_load(bs, b_step, i, W);                                                           \
        V c = walk_load(cs, c_step, i, W);                                                                                            \
        walk_store(out, out_step, i, W, (expression));                                                                                \
      }                                                                                                                               \
      if (i < n) {                                                                                                                    \
        V a = walk_load(as, a_step, i, n - i), b = walk_load(bs, b_step, i, n - i);                                                   \
        V c = walk_load(cs, c_step, i, n - i);                                                                                        \
        walk_store(out, out_step, i, n - i, (expression));                                                                            \
      }                                                                                                                               \
      out += rows->jump[0], as += rows->jump[1], bs += rows->jump[2], cs += rows->jump[3];                                            \
    }                                                                                                                                 \
  }

#endif
