// The one order in which a row of n words is added, by all kernels that reduce:
//
//   n <= 4096   16 lanes; lane l adds words l, l + 16, l + 32, ... ascending, from +0. Then for s = 8, 4, 2, 1: lane i becomes
//               lane i + lane (i + s) for i < s; lane 0 is the sum
//   n >  4096   the sum of the sums of consecutive blocks of 4096 words, the last one short
//
// A lane is never -0, so +0 may be added to it: the dead lanes of a short vector do that.
#ifndef CANONICAL_ROWS_H
#define CANONICAL_ROWS_H
#include "vector.h"

#if W > 16
#error "a vector is no wider than the lanes"
#endif
#define LANES 16
#define BLOCK 4096
#define PARTS (LANES / W)
#define GRAIN_WORDS 16384 // words that are worth waking a thread for

typedef struct { V part[PARTS]; } lanes;

// words i to i + W of a row, of which `left` are there, the rest +0; and the same for a store
INLINE V row_load(const float *row, int64_t i, int64_t left) { return left >= W ? v_load(row + i) : v_load_part(row + i, left); }
INLINE void row_store(float *row, int64_t i, int64_t left, V v) {
  if (left >= W) v_store(row + i, v);
  else v_store_part(row + i, v, left);
}

// the first `left` lanes, +0 in the others
INLINE V row_kept(V v, int64_t left) {
  if (left >= W) return v;
  float words[W];
  v_store(words, v);
  return v_load_part(words, left);
}

INLINE float lanes_tree(const lanes *sums) {
  typedef float four __attribute__((vector_size(16)));
  four lane[LANES / 4]; // the steps of 8 and of 4 add whole vectors of four lanes
  memcpy(lane, sums, sizeof lane);
  four left = (lane[0] + lane[2]) + (lane[1] + lane[3]);
  return (left[0] + left[2]) + (left[1] + left[3]);
}

// `acc` with words i to i + W of a row added, `left` of which are there
typedef V (*lane_step)(const void *context, int64_t i, int64_t left, V acc);

// The sum of words from to from + n of a row, n <= 4096.
INLINE float lanes_total(lane_step step, const void *context, int64_t from, int64_t n) {
  lanes sums;
  for (int p = 0; p < PARTS; p++) sums.part[p] = v_set1(0.0f);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int p = 0; p < PARTS; p++) sums.part[p] = step(context, from + i + p * W, W, sums.part[p]);
  for (int p = 0; i + p * W < n; p++) sums.part[p] = step(context, from + i + p * W, n - i - p * W, sums.part[p]);
  return lanes_tree(&sums);
}

INLINE V plain_step(const void *row, int64_t i, int64_t left, V acc) { return acc + row_load(row, i, left); }
INLINE float plain_total(const float *row, int64_t n) { return lanes_total(plain_step, row, 0, n); }

// The sum of a part of a row that is no longer than a block.
typedef float (*block_total)(const void *context, int64_t from, int64_t n);

// The same of any length.
__attribute__((unused)) static float row_total(block_total block, const void *context, int64_t from, int64_t n) {
  if (n <= BLOCK) return block(context, from, n);
  int64_t chunk = BLOCK, count = 0;
  while (chunk * BLOCK < n) chunk *= BLOCK;
  float sums[BLOCK];
  for (int64_t at = 0; at < n; at += chunk) sums[count++] = row_total(block, context, from + at, n - at < chunk ? n - at : chunk);
  return plain_total(sums, count);
}

// a > b ? a : b, which is b where one is not a number or both are zeros: in one instruction
INLINE V v_larger(V a, V b) {
#if W == 16 && REGISTER == 16
  return (V)_mm512_max_ps((__m512)a, (__m512)b);
#elif W == 8 && REGISTER == 8
  return (V)_mm256_max_ps((__m256)a, (__m256)b);
#elif W == 4 && defined(__SSE2__)
  return (V)_mm_max_ps((__m128)a, (__m128)b);
#else
  return v_select(a > b, a, b);
#endif
}

// The largest of the words that are numbers, -inf where there are none; among zeros it may be either one.
INLINE float row_top(const float *row, int64_t n) {
  V top[4];
  for (int k = 0; k < 4; k++) top[k] = v_set1(-__builtin_inff());
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int k = 0; k < 4; k++) top[k] = v_larger(v_load(row + i + k * W), top[k]);
  for (; i + W <= n; i += W) top[0] = v_larger(v_load(row + i), top[0]);
  top[0] = v_larger(v_larger(top[0], top[1]), v_larger(top[2], top[3]));
  float words[W], most = -__builtin_inff();
  v_store(words, top[0]);
  for (int k = 0; k < W; k++) most = words[k] > most ? words[k] : most;
  for (; i < n; i++) most = row[i] > most ? row[i] : most;
  return most;
}

// How many rows of n words a thread takes at least.
INLINE int64_t row_grain(int64_t n) { return n < GRAIN_WORDS ? GRAIN_WORDS / (n > 0 ? n : 1) : 1; }

#endif
