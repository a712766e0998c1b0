// Vectors of W float32 and their scalar twins: the only arithmetic that kernels use. Every operation here is one correctly rounded IEEE-754
// operation per lane, so a result does not depend on W, on the processor or on the compiler. Compiled with -ffp-contract=off: what is
// written as a product and a sum is rounded twice; a fused multiply-add is written v_fma.
//
//   + - * /       on V as in C: a lane that is not a number may have any payload; v_clean makes it the canonical one, 0x7fc00000
//   a < b, a == b  on V give VI: all bits set where it holds, else 0
//
// W is 16 with AVX-512, 8 with AVX2 and FMA, else 4; -DW=16 makes it wider than the registers, which changes no bit.
#ifndef CANONICAL_VECTOR_H
#define CANONICAL_VECTOR_H
#include <stdint.h>
#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#define REGISTER 16
#include <immintrin.h>
#elif defined(__AVX2__) && defined(__FMA__)
#define REGISTER 8
#include <immintrin.h>
#elif defined(__SSE2__)
#define REGISTER 4
#include <immintrin.h>
#elif defined(__aarch64__)
#define REGISTER 4
#include <arm_neon.h>
#else
#define REGISTER 4
#endif

#if defined(__FMA__) || defined(__AVX512F__) || defined(__aarch64__)
#define HARDWARE_FMA 1
#endif

#ifndef W
#define W REGISTER
#endif
#if W % REGISTER != 0
#error "W is a multiple of the width of a register"
#endif

typedef float V __attribute__((vector_size(W * 4)));
typedef int32_t VI __attribute__((vector_size(W * 4)));
typedef uint32_t VU __attribute__((vector_size(W * 4)));
#define INLINE static inline __attribute__((always_inline, unused))

#define NAN_WORD 0x7fc00000

// ---- words and floats

INLINE float s_float(uint32_t word) { float x; memcpy(&x, &word, 4); return x; }
INLINE uint32_t s_word(float x) { uint32_t word; memcpy(&word, &x, 4); return word; }

// ---- loads and stores; p has the alignment of a float. A part is the first n <= W lanes; the others read as +0 and are not stored.

INLINE V v_load(const float *p) { V v; memcpy(&v, p, sizeof v); return v; }
INLINE void v_store(float *p, V v) { memcpy(p, &v, sizeof v); }
INLINE VI vi_load(const int32_t *p) { VI v; memcpy(&v, p, sizeof v); return v; }
INLINE void vi_store(int32_t *p, VI v) { memcpy(p, &v, sizeof v); }

INLINE V v_load_part(const float *p, int64_t n) {
#if W == 16 && REGISTER == 16
  return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
  if (n == W) return v_load(p);
  V v = {0};
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}

INLINE void v_store_part(float *p, V v, int64_t n) {
#if W == 16 && REGISTER == 16
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
  if (n == W) v_store(p, v);
  else
    for (int i = 0; i < n; i++) p[i] = v[i];
#endif
}

// the same with a distance of `step` floats between the lanes
INLINE V v_load_strided(const float *p, int64_t step, int64_t n) {
  V v = {0};
  for (int i = 0; i < n; i++) v[i] = p[i * step];
  return v;
}

INLINE void v_store_strided(float *p, V v, int64_t step, int64_t n) {
  for (int i = 0; i < n; i++) p[i * step] = v[i];
}

INLINE V v_set1(float x) {
#if W == 16 && REGISTER == 16
  return (V)_mm512_set1_ps(x);
#elif W == 8 && REGISTER == 8
  return (V)_mm256_set1_ps(x);
#else
  V v;
  for (int i = 0; i < W; i++) v[i] = x;
  return v;
#endif
}

INLINE VI vi_set1(int32_t x) {
  VI v;
  for (int i = 0; i < W; i++) v[i] = x;
  return v;
}

// ---- choice

// a where the mask's bits are set, b where they are not
INLINE V v_select(VI mask, V a, V b) { return (V)((mask & (VI)a) | (~mask & (VI)b)); }
INLINE VI vi_select(VI mask, VI a, VI b) { return (mask & a) | (~mask & b); }

INLINE V v_clean(V a) {
#if W == 16 && REGISTER == 16
  return (V)_mm512_mask_mov_ps((__m512)a, _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q), (__m512)(V)vi_set1(NAN_WORD));
#else
  return v_select(a == a, a, (V)vi_set1(NAN_WORD));
#endif
}

INLINE float s_clean(float a) { return a == a ? a : s_float(NAN_WORD); }

// IEEE 754-2019 maximum and minimum: -0 < +0; not a number where one is not. Equal floats of different bits are zeros: their common bits
// are +0, their joined bits -0.
#if W == 16 && REGISTER == 16 && defined(__AVX512DQ__)
INLINE V v_nan_of(V a, V b, __m512 other) {
  return (V)_mm512_mask_mov_ps(other, _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q), (__m512)(V)vi_set1(NAN_WORD));
}
INLINE V v_max(V a, V b) { return v_nan_of(a, b, _mm512_range_ps((__m512)a, (__m512)b, 5)); } // 5, 4: larger, smaller, with its own sign
INLINE V v_min(V a, V b) { return v_nan_of(a, b, _mm512_range_ps((__m512)a, (__m512)b, 4)); }
#else
INLINE V v_max(V a, V b) {
  V larger = v_select(a > b, a, v_select(b > a, b, (V)((VI)a & (VI)b)));
  return v_select((a == a) & (b == b), larger, (V)vi_set1(NAN_WORD));
}

INLINE V v_min(V a, V b) {
  V smaller = v_select(a < b, a, v_select(b < a, b, (V)((VI)a | (VI)b)));
  return v_select((a == a) & (b == b), smaller, (V)vi_set1(NAN_WORD));
}
#endif

INLINE float s_max(float a, float b) {
  if (!(a == a && b == b)) return s_float(NAN_WORD);
  return a > b ? a : b > a ? b : s_float(s_word(a) & s_word(b));
}

INLINE float s_min(float a, float b) {
  if (!(a == a && b == b)) return s_float(NAN_WORD);
  return a < b ? a : b < a ? b : s_float(s_word(a) | s_word(b));
}

INLINE V v_neg(V a) { return v_clean((V)((VI)a ^ vi_set1(INT32_MIN))); }
INLINE V v_abs(V a) { return v_clean((V)((VI)a & vi_set1(INT32_MAX))); }

// ---- fused multiply-add a * b + c, rounded once, and the square root

#if defined(HARDWARE_FMA)
INLINE float s_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
// In float64 the product is exact; the sum is rounded to odd (Boldo and Melquiond 2008), so that rounding it to float32 rounds once.
INLINE float s_fma(float a, float b, float c) {
  double product = (double)a * (double)b, term = (double)c, total = product + term;
  double back = total - product, rest = (product - (total - back)) + (term - back);
  int64_t bits;
  memcpy(&bits, &total, 8);
  if (rest - rest == 0 && rest != 0 && (bits & 1) == 0) {
    bits += ((rest > 0) == (total > 0)) ? 1 : -1;
    memcpy(&total, &bits, 8);
  }
  return (float)total;
}
#endif

INLINE float s_sqrt(float a) { return __builtin_sqrtf(a); }

#if REGISTER == 16
typedef __m512 part_t;
INLINE part_t part_fma(part_t a, part_t b, part_t c) { return _mm512_fmadd_ps(a, b, c); }
INLINE part_t part_sqrt(part_t a) { return _mm512_sqrt_ps(a); }
#elif REGISTER == 8
typedef __m256 part_t;
INLINE part_t part_fma(part_t a, part_t b, part_t c) { return _mm256_fmadd_ps(a, b, c); }
INLINE part_t part_sqrt(part_t a) { return _mm256_sqrt_ps(a); }
#elif defined(__aarch64__)
typedef float32x4_t part_t;
INLINE part_t part_fma(part_t a, part_t b, part_t c) { return vfmaq_f32(c, a, b); }
INLINE part_t part_sqrt(part_t a) { return vsqrtq_f32(a); }
#else
typedef float part_t __attribute__((vector_size(16)));
INLINE part_t part_fma(part_t a, part_t b, part_t c) {
#if defined(HARDWARE_FMA)
  return (part_t)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
#else
  part_t r;
  for (int i = 0; i < 4; i++) r[i] = s_fma(a[i], b[i], c[i]);
  return r;
#endif
}
INLINE part_t part_sqrt(part_t a) {
#if defined(__SSE2__)
  return (part_t)_mm_sqrt_ps((__m128)a);
#else
  for (int i = 0; i < 4; i++) a[i] = s_sqrt(a[i]);
  return a;
#endif
}
#endif

#if W == REGISTER
INLINE V v_fma(V a, V b, V c) { return (V)part_fma((part_t)a, (part_t)b, (part_t)c); }
INLINE V v_sqrt(V a) { return (V)part_sqrt((part_t)a); }
#else
typedef union { V whole; part_t part[W / REGISTER]; } wide_t;
INLINE V v_fma(V a, V b, V c) {
  wide_t x = {a}, y = {b}, z = {c};
  for (int i = 0; i < W / REGISTER; i++) z.part[i] = part_fma(x.part[i], y.part[i], z.part[i]);
  return z.whole;
}
INLINE V v_sqrt(V a) {
  wide_t x = {a};
  for (int i = 0; i < W / REGISTER; i++) x.part[i] = part_sqrt(x.part[i]);
  return x.whole;
}
#endif

// ---- conversions: int32 to float32 rounds to nearest even

INLINE V v_from_int(VI a) { return __builtin_convertvector(a, V); }

#endif
