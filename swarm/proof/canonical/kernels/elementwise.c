// Element-by-element arithmetic of a few scalar codes. The order of operations stands beside each operator, in the codes' names; a result
// that is not a number comes out as 0x7fc00000. Numbers given with a call (S(0), S(1)) are float32.
#include "walk.h"

#define S(number) v_set1(((const float *)context)[number])
#define NEGATED(v) ((V)((VI)(v) ^ INT32_MIN)) // of an operand: what is no number is cleaned in the end

// An operator of one, two, three tensors, without and with numbers.
#define UNARY(name, expression)                                                                            \
  WALK_ROWS_1(name##_row, expression)                                                                       \
  void canonical_##name(const walk *shape, float *out, float *a) {                                         \
    float *base[] = {out, a};                                                                              \
    walk_run(shape, base, name##_row, NULL);                                                               \
  }
#define UNARY_1(name, expression)                                                                          \
  WALK_ROWS_1(name##_row, expression)                                                                       \
  void canonical_##name(const walk *shape, float *out, float *a, float number) {                           \
    float *base[] = {out, a};                                                                              \
    walk_run(shape, base, name##_row, &number);                                                            \
  }
#define BINARY(name, expression)                                                                           \
  WALK_ROWS_2(name##_row, expression)                                                                       \
  void canonical_##name(const walk *shape, float *out, float *a, float *b) {                               \
    float *base[] = {out, a, b};                                                                           \
    walk_run(shape, base, name##_row, NULL);                                                               \
  }
#define BINARY_1(name, expression)                                                                         \
  WALK_ROWS_2(name##_row, expression)                                                                       \
  void canonical_##name(const walk *shape, float *out, float *a, float *b, float number) {                 \
    float *base[] = {out, a, b};                                                                           \
    walk_run(shape, base, name##_row, &number);                                                            \
  }
#define TERNARY_1(name, expression)                                                                        \
  WALK_ROWS_3(name##_row, expression)                                                                       \
  void canonical_##name(const walk *shape, float *out, float *a, float *b, float *c, float number) {       \
    float *base[] = {out, a, b, c};                                                                        \
    walk_run(shape, base, name##_row, &number);                                                            \
  }

UNARY(neg, v_neg(a))                          // NEG(a)
UNARY(abs, v_abs(a))                          // ABS(a)
UNARY(sqrt, v_clean(v_sqrt(a)))               // SQRT(a)
UNARY(reciprocal, v_clean(v_set1(1.0f) / a))  // DIV(1, a)

UNARY(sign, v_from_int((a < v_set1(0.0f)) - (v_set1(0.0f) < a))) // I2F(ISUB(LT(0, a), LT(a, 0))); true is -1 here

BINARY(sub, v_clean(a - b))                   // SUB(a, b)
BINARY(mul, v_clean(a * b))                   // MUL(a, b)
BINARY(div, v_clean(a / b))                   // DIV(a, b)
BINARY(maximum, v_max(a, b))                  // MAX(a, b)
BINARY(minimum, v_min(a, b))                  // MIN(a, b)

UNARY_1(add_scalar, v_clean(a + S(0)))        // ADD(a, value)
UNARY_1(rsub, v_clean(S(0) - a))              // SUB(value, a)
UNARY_1(mul_scalar, v_clean(a * S(0)))        // MUL(a, value)
UNARY_1(div_scalar, v_clean(a / S(0)))        // DIV(a, value)

BINARY_1(threshold_backward, v_select(b <= S(0), v_set1(0.0f), a)) // SELECT(LE(b, value), 0, a)
BINARY_1(lerp, v_clean(v_fma(S(0), b - a, a)))                     // FMA(value, SUB(b, a), a)

// lerp_tensor: FMA(c, SUB(b, a), a)
WALK_ROWS_3(lerp_tensor_row, v_clean(v_fma(c, b - a, a)))
void canonical_lerp_tensor(const walk *shape, float *out, float *a, float *b, float *c) {
  float *base[] = {out, a, b, c};
  walk_run(shape, base, lerp_tensor_row, NULL);
}

TERNARY_1(addcmul, v_clean(v_fma(S(0) * b, c, a))) // FMA(MUL(value, b), c, a)
TERNARY_1(addcdiv, v_clean(v_fma(S(0), b / c, a))) // FMA(value, DIV(b, c), a)

// add: ADD(a, b); with another alpha than 1: FMA(alpha, b, a)
WALK_ROWS_2(add_row, v_clean(a + b))
WALK_ROWS_2(add_scaled_row, v_clean(v_fma(S(0), b, a)))
void canonical_add(const walk *shape, float *out, float *a, float *b, float alpha) {
  float *base[] = {out, a, b};
  walk_run(shape, base, alpha == 1 ? add_row : add_scaled_row, &alpha);
}

// affine: FMA(scale, a, value)
WALK_ROWS_1(affine_row, v_clean(v_fma(S(0), a, S(1))))
void canonical_affine(const walk *shape, float *out, float *a, float scale, float value) {
  float *base[] = {out, a}, numbers[] = {scale, value};
  walk_run(shape, base, affine_row, numbers);
}

// clamp: MIN(MAX(a, lower), upper), each where it is given
WALK_ROWS_1(clamp_lower_row, v_max(a, S(0)))
WALK_ROWS_1(clamp_upper_row, v_min(a, S(1)))
WALK_ROWS_1(clamp_row, v_min(v_max(a, S(0)), S(1)))
void canonical_clamp(const walk *shape, float *out, float *a, float lower, float upper, int32_t given) {
  static const walk_work rows[] = {clamp_lower_row, clamp_upper_row, clamp_row};
  float *base[] = {out, a}, numbers[] = {lower, upper};
  walk_run(shape, base, rows[given - 1], numbers);
}

// pow: by half exponents from -2 to 4. DIV(1, MUL(a, a)); DIV(1, a); DIV(1, SQRT(a)); 1; SQRT(a); a; MUL(a, a); MUL(MUL(a, a), a); the square
// of the square
#define ONE v_set1(1.0f)
WALK_ROWS_1(pow_minus_2_row, v_clean(ONE / (a * a)))
WALK_ROWS_1(pow_minus_half_row, v_clean(ONE / v_sqrt(a)))
WALK_ROWS_1(pow_0_row, (a = ONE))
WALK_ROWS_1(pow_1_row, v_clean(a))
WALK_ROWS_1(pow_2_row, v_clean(a * a))
WALK_ROWS_1(pow_3_row, v_clean(a * a * a))
WALK_ROWS_1(pow_4_row, v_clean((a * a) * (a * a)))
void canonical_pow(const walk *shape, float *out, float *a, int32_t halves) {
  static const walk_work rows[] = {[0] = pow_minus_2_row, [2] = reciprocal_row, [3] = pow_minus_half_row, [4] = pow_0_row, [5] = sqrt_row,
                                  [6] = pow_1_row, [8] = pow_2_row, [10] = pow_3_row, [12] = pow_4_row};
  float *base[] = {out, a};
  walk_run(shape, base, rows[halves + 4], NULL);
}
