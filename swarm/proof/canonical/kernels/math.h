// exp, log, sin, cos, tanh, erf on vectors: operation by operation what definition/math.py says, with shorter ways to the same bits where
// a bound makes a step exact. Every result that is not a number is the canonical one.
#ifndef CANONICAL_MATH_H
#define CANONICAL_MATH_H
#include "vector.h"

#define MAGIC 12582912.0f // 1.5 * 2^23
#define SIGN_WORD INT32_MIN
#define ONE_WORD 0x3f800000

INLINE int v_any(VI mask) {
#if W == 16 && REGISTER == 16
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif W == 8 && REGISTER == 8
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  int32_t any = 0;
  for (int i = 0; i < W; i++) any |= mask[i];
  return any != 0;
#endif
}

// x below the upper bound and above the lower one; a lane that is not a number stays as it is
INLINE V v_bounded(V x, float lower, float upper) {
#if W == 16 && REGISTER == 16
  return (V)_mm512_min_ps((__m512)v_set1(upper), _mm512_max_ps((__m512)v_set1(lower), (__m512)x));
#elif W == 8 && REGISTER == 8
  return (V)_mm256_min_ps((__m256)v_set1(upper), _mm256_max_ps((__m256)v_set1(lower), (__m256)x));
#else
  x = v_select(x < v_set1(lower), v_set1(lower), x);
  return v_select(x > v_set1(upper), v_set1(upper), x);
#endif
}

// Horner: total = FMA(total, x, coefficient), the highest power first. A macro, so that the coefficients are constants at any -O.
#define POLYNOMIAL(total, x, ...)                                                                            \
  do {                                                                                                       \
    static const float coefficients[] = {__VA_ARGS__};                                                       \
    total = v_set1(coefficients[0]);                                                                         \
    for (size_t c = 1; c < sizeof coefficients / sizeof *coefficients; c++)                                  \
      total = v_fma(total, x, v_set1(coefficients[c]));                                                      \
  } while (0)

// ---- exp: n = round(x / ln 2) by adding MAGIC; r = x - n ln 2 in two FMA; the polynomial; two products with powers of two

typedef struct { V power, shifted; } v_powers; // exp(r); MAGIC + n

INLINE v_powers v_exp_parts(V x) {
  v_powers parts;
  parts.shifted = v_fma(x, v_set1(0x1.715476p+0f), v_set1(MAGIC));
  V n = parts.shifted - v_set1(MAGIC);
  V r = v_fma(n, v_set1(-0x1.62e430p-1f), x);
  r = v_fma(n, v_set1(0x1.05c610p-29f), r);
  POLYNOMIAL(parts.power, r, 0.0013941878f, 0.008368679f, 0.04166639f, 0.16666521f, 0.5f, 1.0f, 1.0f);
  return parts;
}

INLINE V v_exp(V x) {
  x = v_bounded(x, -104.0f, 89.0f);
  v_powers parts = v_exp_parts(x);
#if W == 16 && REGISTER == 16
  V scaled = (V)_mm512_scalef_ps((__m512)parts.power, (__m512)(parts.shifted - v_set1(MAGIC))); // one rounding, as the two products
#else
  VU whole = (VU)parts.shifted, half = whole >> 1;
  V scaled = parts.power * (V)((half << 23) + ONE_WORD);
  scaled = scaled * (V)(((whole - half) << 23) + ONE_WORD);
#endif
  return v_clean(scaled);
}

// 2^n exp(r) where that is normal
INLINE V v_exp_normal(V x) {
  v_powers parts = v_exp_parts(x);
  return (V)((VU)parts.power + ((VU)parts.shifted << 23));
}

// ---- log: x = 2^n (1 + f), f in [-1/3, 1/3); f + f^2 p(f); one FMA with n ln 2

INLINE V v_log_from(V x, V n) { // n: of the scaling before, mostly 0
  VI exponent = (VI)((VU)x - 0x3f2aaaab) >> 23;
  V f = (V)((VU)x - ((VU)exponent << 23)) - v_set1(1.0f), near;
  n = v_from_int(exponent) + n;
  POLYNOMIAL(near, f, -0.1288004f, 0.13984594f, -0.121874794f, 0.14005734f, -0.16680196f, 0.20010427f, -0.24999806f, 0.33333215f, -0.5f);
  near = v_fma(near, f * f, f);
  return v_fma(n, v_set1(0x1.62e430p-1f), near);
}

// any x: subnormals are scaled; zeros, infinity, what is below 0 or no number is sqrt(x) - 1 / |x|
static __attribute__((noinline, unused)) V v_log_rare(V x) {
  VI tiny = x < v_set1(0x1p-126f), usual = (v_set1(0.0f) < x) & (x < v_set1(__builtin_inff()));
  V value = v_log_from(v_select(tiny, x * v_set1(0x1p23f), x), v_select(tiny, v_set1(-23.0f), v_set1(0.0f)));
  V special = v_sqrt(x) - v_set1(1.0f) / v_abs(x);
  return v_clean(v_select(usual, value, special));
}

INLINE V v_log(V x) {
  VI rare = (VI)((VU)x - 0x00800000u >= 0x7f000000u); // all but positive normal numbers
  return v_any(rare) ? v_log_rare(x) : v_log_from(x, v_set1(0.0f));
}

// ---- sin and cos: a = |x| = r + q pi/2 in three FMA; from 2^20 on in integers, lane by lane

typedef struct { V r; VU quarter; } v_angle;

// 2/pi * 2^-8 as a binary fraction
static const uint32_t two_over_pi[] = {0x00a2f983, 0x6e4e4415, 0x29fc2757, 0xd1f534dd, 0xc0db6295, 0x993c4390, 0x41fe5163};

// Payne and Hanek: product = M * (96 bits of 2/pi) / 2^32 modulo 2^64, the angle in units of pi/2 * 2^-62
INLINE float far_angle(uint32_t a, uint32_t *quarter) {
  uint32_t place = (a >> 23) - 144, shift = place & 31;
  const uint32_t *from = two_over_pi + (place >> 5);
  uint64_t window[3], whole = (a & 0x7fffff) | 0x800000;
  for (int i = 0; i < 3; i++) window[i] = (uint32_t)(from[i] << shift | from[i + 1] >> 1 >> (31 - shift));
  uint64_t product = (whole * window[0] << 32) + whole * window[1] + (whole * window[2] >> 32);
  *quarter = (uint32_t)((product + ((uint64_t)1 << 61)) >> 62);
  int64_t rest = (int64_t)(product - ((uint64_t)*quarter << 62)), sign = rest >> 63;
  rest ^= sign;
  int32_t upper = (int32_t)(rest >> 32) & -64, lower = (int32_t)(rest >> 7 & 0x7fffffff);
  float below = (float)upper * -0x1.777a5cp-55f;
  below = s_fma((float)lower, 0x1.921fb6p-55f, below);
  float angle = s_fma((float)upper, 0x1.921fb6p-30f, below);
  return sign ? -angle : angle;
}

static __attribute__((noinline, unused)) v_angle v_far_angle(V a, v_angle angle) {
  for (int i = 0; i < W; i++) {
    uint32_t quarter;
    if (!(a[i] >= 0x1p20f && a[i] < __builtin_inff())) continue;
    angle.r[i] = far_angle(s_word(a[i]), &quarter);
    angle.quarter[i] = quarter;
  }
  return angle;
}

INLINE v_angle v_reduced(V a) {
  V shifted = v_fma(a, v_set1(0x1.45f306p-1f), v_set1(MAGIC)), n = shifted - v_set1(MAGIC);
  V r = v_fma(n, v_set1(-0x1.921fb6p+0f), a);
  r = v_fma(n, v_set1(0x1.777a5cp-25f), r);
  r = v_fma(n, v_set1(0x1.ee59dap-50f), r);
  v_angle angle = {r, (VU)shifted};
  return v_any(a >= v_set1(0x1p20f)) ? v_far_angle(a, angle) : angle;
}

// sin(r + quarter pi/2), not a number where a is not finite
INLINE V v_wave(V a, V r, VU quarter) {
  V square = r * r, sine, cosine;
  POLYNOMIAL(sine, square, -0.00019518408f, 0.00833219f, -0.16666655f);
  sine = v_fma(sine * square, r, r);
  POLYNOMIAL(cosine, square, 2.4430668e-05f, -0.0013887301f, 0.041666646f, -0.5f, 1.0f);
    V value = v_select((VI)((quarter & 1) != 0), cosine, sine);
  value = (V)((VU)value ^ (quarter & 2) << 30);
  return v_select(a < v_set1(__builtin_inff()), value, (V)vi_set1(NAN_WORD));
}

INLINE V v_sin(V x) {
  V a = (V)((VI)x & INT32_MAX);
  v_angle angle = v_reduced(a);
  V value = v_wave(a, angle.r, angle.quarter);
  return v_clean((V)((VI)value ^ ((VI)x & SIGN_WORD)));
}

INLINE V v_cos(V x) {
  V a = (V)((VI)x & INT32_MAX);
  v_angle angle = v_reduced(a);
  return v_wave(a, angle.r, angle.quarter + 1);
}

// ---- tanh and erf: a polynomial near 0, an exponential beyond, of a = |x|; then the sign

INLINE V v_signed(V x, V size) { return v_select(x == x, (V)((VI)size ^ ((VI)x & SIGN_WORD)), (V)vi_set1(NAN_WORD)); }

// a + a (a^2 p(a^2)); 1 - 2 / (exp(2a) + 1)
INLINE V v_tanh(V x) {
  V a = (V)((VI)x & INT32_MAX), square = a * a, near;
  POLYNOMIAL(near, square, -0.0056922967f, 0.020628167f, -0.053736515f, 0.13331406f, -0.3333328f);
  near = v_fma(near * square, a, a);
  V bounded = v_select(a > v_set1(10.0f), v_set1(10.0f), a);
  V power = v_exp_normal(bounded + bounded);
  V far = v_set1(1.0f) - v_set1(2.0f) / (power + v_set1(1.0f));
  return v_signed(x, v_select(a < v_set1(0.625f), near, far));
}

// a + a p(a^2); 1 - exp(a q(a))
INLINE V v_erf(V x) {
  V a = (V)((VI)x & INT32_MAX), near, far;
  POLYNOMIAL(near, a * a, -0.0005925125f, 0.0049806875f, -0.026758565f, 0.11281618f, -0.3761248f, 0.12837915f);
  near = v_fma(near, a, a);
  V bounded = v_select(a > v_set1(4.0f), v_set1(4.0f), a);
  POLYNOMIAL(far, bounded, 0.00021291412f, -0.0032061792f, 0.022861993f, -0.10521849f, -0.635751f, -1.1285048f);
  far = v_set1(1.0f) - v_exp_normal(far * bounded);
  return v_signed(x, v_select(a < v_set1(0.9375f), near, far));
}

// ---- 1 / sqrt(x), 1 / (1 + exp(-x)), x / (1 + exp(-x)), as yet with any payload

INLINE V v_one_and_power(V x) { return v_set1(1.0f) + v_exp((V)((VI)x ^ SIGN_WORD)); }
INLINE V v_rsqrt(V x) { return v_clean(v_set1(1.0f) / v_sqrt(x)); }
INLINE V v_sigmoid(V x) { return v_clean(v_set1(1.0f) / v_one_and_power(x)); }
INLINE V v_silu(V x) { return v_clean(x / v_one_and_power(x)); }

#endif
