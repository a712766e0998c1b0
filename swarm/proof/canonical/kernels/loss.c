// The negative log-likelihood of given classes: loss[i] = -score[i, target[i]], times the target's weight, +0 where ignored; its sum as rows.h
// says, divided by the sum of the weights (1 each, +0 where ignored) for the mean.
#include <stdlib.h>
#include "rows.h"
#include "workspace.h"

enum reduction { NONE, AVERAGE, TOTAL };

static float plain_block(const void *context, int64_t from, int64_t n) { return plain_total((const float *)context + from, n); }

// loss: n words without reduction, else one. count: the sum of the weights, +0 without reduction.
void canonical_nll_loss(float *loss, float *count, const float *scores, int64_t step, int64_t class_step, const int64_t *target,
                        const float *weight, int64_t n, int32_t reduction, int64_t ignore) {
  float *each = reduction == NONE ? loss : reserved(n * sizeof(float)), *weights = reserved(n * sizeof(float));
  for (int64_t i = 0; i < n; i++) {
    int ignored = target[i] == ignore;
    weights[i] = ignored ? 0.0f : weight ? weight[target[i]] : 1.0f;
    each[i] = ignored ? 0.0f : -scores[i * step + target[i] * class_step];
    if (weight && !ignored) each[i] = each[i] * weights[i];
    each[i] = s_clean(each[i]);
  }
  *count = reduction == NONE ? 0.0f : row_total(plain_block, weights, 0, n);
  if (reduction != NONE) {
    float sum = row_total(plain_block, each, 0, n);
    *loss = s_clean(reduction == AVERAGE ? sum / *count : sum);
    free(each);
  }
  *count = s_clean(*count);
  free(weights);
}

// out (n, classes), zeros before: -grad, divided by count for the mean, times the target's weight, at the target. grad_step 0: one for all.
void canonical_nll_loss_backward(float *out, const float *grad, int64_t grad_step, const int64_t *target, const float *weight, const float *count,
                                 int64_t n, int64_t classes, int32_t reduction, int64_t ignore) {
  for (int64_t i = 0; i < n; i++) {
    if (target[i] == ignore) continue;
    float back = -grad[i * grad_step];
    if (reduction == AVERAGE) back = back / *count;
    if (weight) back = back * weight[target[i]];
    out[i * classes + target[i]] = s_clean(back);
  }
}
