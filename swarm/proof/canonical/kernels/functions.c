// Element-by-element functions (math.h) and activations, with what their backward passes need. g is the gradient of the output, x the input,
// y the output.
#include "math.h"
#include "walk.h"

#define UNARY(name, expression)                                                                            \
  WALK_ROWS_1(name##_row, expression)                                                                       \
  void canonical_##name(const walk *shape, float *out, float *a) {                                         \
    float *base[] = {out, a};                                                                              \
    walk_run(shape, base, name##_row, NULL);                                                               \
  }
#define BINARY(name, expression)                                                                           \
  WALK_ROWS_2(name##_row, expression)                                                                       \
  void canonical_##name(const walk *shape, float *out, float *a, float *b) {                               \
    float *base[] = {out, a, b};                                                                           \
    walk_run(shape, base, name##_row, NULL);                                                               \
  }
#define ONE v_set1(1.0f)

UNARY(exp, v_exp(a))
UNARY(log, v_log(a))
UNARY(sin, v_sin(a))
UNARY(cos, v_cos(a))
UNARY(tanh, v_tanh(a))
UNARY(erf, v_erf(a))
UNARY(rsqrt, v_rsqrt(a))
UNARY(sigmoid, v_sigmoid(a))
UNARY(silu, v_silu(a))

// MUL(g, FMA(NEG y, y, 1))
BINARY(tanh_backward, v_clean(a * v_fma((V)((VI)b ^ SIGN_WORD), b, ONE)))

// MUL(g, MUL(SUB(1, y), y))
BINARY(sigmoid_backward, v_clean(a * ((ONE - b) * b)))

// s = sigmoid(x); MUL(g, MUL(s, FMA(x, SUB(1, s), 1)))
INLINE V silu_backward(V g, V x) {
  V s = v_sigmoid(x);
  return v_clean(g * (s * v_fma(x, ONE - s, ONE)));
}
BINARY(silu_backward, silu_backward(a, b))

// gelu by erf: MUL(MUL(x, 1/2), ADD(1, erf(MUL(x, sqrt 1/2))))
#define ROOT_HALF v_set1(0.70710678118654752f)
INLINE V gelu(V x) { return v_clean((x * v_set1(0.5f)) * (ONE + v_erf(x * ROOT_HALF))); }
UNARY(gelu, gelu(a))

// share = MUL(1/2, ADD(1, erf(MUL(x, sqrt 1/2)))); bell = MUL(exp(MUL(MUL(x, x), -1/2)), 1 / sqrt(2 pi)); MUL(g, FMA(x, bell, share))
INLINE V gelu_backward(V g, V x) {
  V share = v_set1(0.5f) * (ONE + v_erf(x * ROOT_HALF));
  V bell = v_exp((x * x) * v_set1(-0.5f)) * v_set1(0.39894228040143268f);
  return v_clean(g * v_fma(x, bell, share));
}
BINARY(gelu_backward, gelu_backward(a, b))

// gelu by tanh: t = tanh(MUL(MUL(x, sqrt(2/pi)), FMA(MUL(x, 0.044715), x, 1))); MUL(MUL(x, 1/2), ADD(1, t))
#define ROOT_TWO_OVER_PI v_set1(0.79788456080286536f)
INLINE V gelu_inner(V x) { return v_tanh((x * ROOT_TWO_OVER_PI) * v_fma(x * v_set1(0.044715f), x, ONE)); }
INLINE V gelu_tanh(V x) { return v_clean((x * v_set1(0.5f)) * (ONE + gelu_inner(x))); }
UNARY(gelu_tanh, gelu_tanh(a))

// left = MUL(1/2, ADD(1, t)); slope = MUL(sqrt(2/pi), FMA(MUL(x, 3 * 0.044715), x, 1));
// right = MUL(MUL(MUL(x, 1/2), FMA(NEG t, t, 1)), slope); MUL(g, ADD(left, right))
INLINE V gelu_tanh_backward(V g, V x) {
  V t = gelu_inner(x), left = v_set1(0.5f) * (ONE + t);
  V slope = ROOT_TWO_OVER_PI * v_fma(x * v_set1(0.134145f), x, ONE);
  V right = ((x * v_set1(0.5f)) * v_fma((V)((VI)t ^ SIGN_WORD), t, ONE)) * slope;
  return v_clean(g * (left + right));
}
BINARY(gelu_tanh_backward, gelu_tanh_backward(a, b))
