// Moves a block of numbers so that columns become rows: how kernels that want one order read what lies in the other. No arithmetic.
#ifndef CANONICAL_TRANSPOSE_H
#define CANONICAL_TRANSPOSE_H
#include "vector.h"

#define TRANSPOSE REGISTER // rows and columns of a block

// to[c * to_step + r] = from[r * from_step + c] for r, c < TRANSPOSE. Four-by-four blocks are transposed inside 128-bit lanes: a register
// takes rows r, r + 4, ... in its lanes, so that no word has to cross lanes afterwards.
#if REGISTER == 16
INLINE __m512 transpose_lanes(const float *from, int64_t step) {
  __m512 lanes = _mm512_castps128_ps512(_mm_loadu_ps(from));
  lanes = _mm512_insertf32x4(lanes, _mm_loadu_ps(from + 4 * step), 1);
  lanes = _mm512_insertf32x4(lanes, _mm_loadu_ps(from + 8 * step), 2);
  return _mm512_insertf32x4(lanes, _mm_loadu_ps(from + 12 * step), 3);
}

INLINE void transpose_block(const float *from, int64_t from_step, float *to, int64_t to_step) {
#pragma GCC unroll 4
  for (int c = 0; c < 16; c += 4) {
    __m512 a = transpose_lanes(from + c, from_step), b = transpose_lanes(from + from_step + c, from_step);
    __m512 d = transpose_lanes(from + 2 * from_step + c, from_step), e = transpose_lanes(from + 3 * from_step + c, from_step);
    __m512d low1 = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), high1 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
    __m512d low2 = _mm512_castps_pd(_mm512_unpacklo_ps(d, e)), high2 = _mm512_castps_pd(_mm512_unpackhi_ps(d, e));
    _mm512_storeu_pd((double *)(to + c * to_step), _mm512_unpacklo_pd(low1, low2));
    _mm512_storeu_pd((double *)(to + (c + 1) * to_step), _mm512_unpackhi_pd(low1, low2));
    _mm512_storeu_pd((double *)(to + (c + 2) * to_step), _mm512_unpacklo_pd(high1, high2));
    _mm512_storeu_pd((double *)(to + (c + 3) * to_step), _mm512_unpackhi_pd(high1, high2));
  }
}
#elif REGISTER == 8
INLINE __m256 transpose_lanes(const float *from, int64_t step) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(from + 4 * step), 1);
}

INLINE void transpose_block(const float *from, int64_t from_step, float *to, int64_t to_step) {
#pragma GCC unroll 2
  for (int c = 0; c < 8; c += 4) {
    __m256 a = transpose_lanes(from + c, from_step), b = transpose_lanes(from + from_step + c, from_step);
    __m256 d = transpose_lanes(from + 2 * from_step + c, from_step), e = transpose_lanes(from + 3 * from_step + c, from_step);
    __m256d low1 = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), high1 = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
    __m256d low2 = _mm256_castps_pd(_mm256_unpacklo_ps(d, e)), high2 = _mm256_castps_pd(_mm256_unpackhi_ps(d, e));
    _mm256_storeu_pd((double *)(to + c * to_step), _mm256_unpacklo_pd(low1, low2));
    _mm256_storeu_pd((double *)(to + (c + 1) * to_step), _mm256_unpackhi_pd(low1, low2));
    _mm256_storeu_pd((double *)(to + (c + 2) * to_step), _mm256_unpacklo_pd(high1, high2));
    _mm256_storeu_pd((double *)(to + (c + 3) * to_step), _mm256_unpackhi_pd(high1, high2));
  }
}
#else
INLINE void transpose_block(const float *from, int64_t from_step, float *to, int64_t to_step) {
  for (int c = 0; c < TRANSPOSE; c++)
    for (int r = 0; r < TRANSPOSE; r++) to[c * to_step + r] = from[r * from_step + c];
}
#endif

// The same for any number of rows and columns.
INLINE void transpose(const float *from, int64_t from_step, int64_t rows, int64_t columns, float *to, int64_t to_step) {
  int64_t r = 0;
  for (; r + TRANSPOSE <= rows; r += TRANSPOSE) {
    int64_t c = 0;
    for (; c + TRANSPOSE <= columns; c += TRANSPOSE) transpose_block(from + r * from_step + c, from_step, to + c * to_step + r, to_step);
    for (; c < columns; c++)
      for (int i = 0; i < TRANSPOSE; i++) to[c * to_step + r + i] = from[(r + i) * from_step + c];
  }
  for (; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) to[c * to_step + r] = from[r * from_step + c];
}

#endif
