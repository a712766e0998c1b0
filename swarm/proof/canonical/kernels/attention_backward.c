// Attention backward, from the gradient `grad` of out; s as in attention.h, every sum fma, ascending, from +0, and + 0 at its end:
//
//   p = exp(s - logsumexp), a logsumexp of -inf counts as +0;  dp = sum over a value's words of value * grad
//   delta = sum over a value's words of grad * out (no + 0);   ds = p * (dp - delta)
//   dquery = (sum over keys of ds * key) * scale;              dkey = (sum over queries of ds * query) * scale
//   dvalue = sum over queries of p * grad
//
// A head is one thread's: its sums over queries go on from block to block. Here every head of queries has its own of keys (group 1).
#include "math.h"
#include "attention.h"
#include "workspace.h"

typedef struct {
  head_of whole;
  float *dquery, *dkey, *dvalue;
} backward;

typedef struct {
  float *queries, *grads, *outs;  // turned: [word][query]
  float *weights, *slopes;        // p and ds of one block of keys: [key][query]
  float *dquery, *dkey, *dvalue;  // sums
  float base[QUERIES], delta[QUERIES];
} desk;

static head_of head(const head_of *whole, int64_t batch, int64_t number) {
  const attention_shape *shape = whole->shape;
  head_of h = *whole;
  h.query = head_at(whole->query, shape->query, batch, number);
  h.key = head_at(whole->key, shape->key, batch, number);
  h.value = head_at(whole->value, shape->value, batch, number);
  h.mask = head_at(whole->mask, shape->mask, batch, number);
  h.out = head_at(whole->out, shape->out, batch, number);
  h.sums = head_at(whole->sums, shape->sums, batch, number);
  h.grad = head_at(whole->grad, shape->grad, batch, number);
  return h;
}

// A weight of +0 leaves every sum as it is where all it meets is finite and no sum on the way overflows.
static int can_skip(const head_of *h) {
  const attention_shape *shape = h->shape;
  if (!shape->causal && !h->mask) return 0;
  double q = largest(h->query, shape->query.row, shape->queries, shape->size), k = largest(h->key, shape->key.row, shape->keys, shape->size);
  double v = largest(h->value, shape->value.row, shape->keys, shape->other), g = largest(h->grad, shape->grad.row, shape->queries, shape->other);
  double o = largest(h->out, shape->out.row, shape->queries, shape->other), scale = h->scale < 0 ? -h->scale : h->scale;
  return q * k * (double)shape->size * (scale > 1 ? scale : 1) < 1e38 && g * v * (double)shape->other < 1e38 && g * o * (double)shape->other < 1e38;
}

// delta and the base of p for a block of queries; whether a logsumexp is not a number
static int prepare(const head_of *h, desk *d, int64_t first, int64_t count) {
  const attention_shape *shape = h->shape;
  int strange = 0;
  turned(h->query + first * shape->query.row, shape->query.row, count, shape->size, d->queries);
  turned(h->grad + first * shape->grad.row, shape->grad.row, count, shape->other, d->grads);
  turned(h->out + first * shape->out.row, shape->out.row, count, shape->other, d->outs);
  for (int64_t i = 0; i < padded(count); i += W) {
    V delta = v_set1(0.0f);
    for (int64_t j = 0; j < shape->other; j++) delta = v_fma(v_load(d->grads + j * QUERIES + i), v_load(d->outs + j * QUERIES + i), delta);
    v_store(d->delta + i, delta);
  }
  for (int64_t i = 0; i < padded(count); i++) {
    float sum = i < count ? h->sums[(first + i) * shape->sums.row] : 0.0f;
    strange |= sum != sum;
    d->base[i] = sum == -__builtin_inff() ? 0.0f : sum;
  }
  return strange;
}

static void weigh(desk *d, int64_t columns, int64_t keys) {
  for (int64_t i = 0; i < columns; i += W) {
    V base = v_load(d->base + i), delta = v_load(d->delta + i);
    for (int64_t j = 0; j < keys; j++) {
      V p = v_exp(v_load(d->weights + j * QUERIES + i) - base), dp = v_load(d->slopes + j * QUERIES + i) + v_set1(0.0f);
      v_store(d->weights + j * QUERIES + i, p);
      v_store(d->slopes + j * QUERIES + i, p * (dp - delta));
    }
  }
}

static void key_block(const head_of *h, desk *d, int64_t first, int64_t count, int64_t key, int64_t keys) {
  const attention_shape *shape = h->shape;
  int64_t size = padded(shape->size), other = padded(shape->other);
  const float *key_rows = h->key + key * shape->key.row, *value_rows = h->value + key * shape->value.row;
  scores(h, first, count, key, keys, d->queries, d->weights);
  product(keys, padded(count), shape->other, (left_matrix){value_rows, shape->value.row, 1}, d->grads, QUERIES, d->slopes, QUERIES, 0);
  weigh(d, padded(count), keys);
  product(count, shape->size, keys, (left_matrix){d->slopes, 1, QUERIES}, key_rows, shape->key.row, d->dquery, size, 1);
  product(keys, shape->size, count, (left_matrix){d->slopes, QUERIES, 1}, h->query + first * shape->query.row, shape->query.row,
          d->dkey + key * size, size, 1);
  product(keys, shape->other, count, (left_matrix){d->weights, QUERIES, 1}, h->grad + first * shape->grad.row, shape->grad.row,
          d->dvalue + key * other, other, 1);
}

// out = (sum + 0) * scale
static void give(const float *sums, int64_t rows, int64_t columns, float scale, float *out, int64_t out_row) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j += W) {
      V word = (v_load(sums + i * padded(columns) + j) + v_set1(0.0f)) * v_set1(scale);
      row_store(out + i * out_row, j, columns - j, v_clean(word));
    }
}

static void whole_head(const backward *b, const head_of *h, desk *d, float *dquery, float *dkey, float *dvalue) {
  const attention_shape *shape = h->shape;
  int64_t size = padded(shape->size), other = padded(shape->other);
  memset(d->dkey, 0, shape->keys * size * sizeof(float));
  memset(d->dvalue, 0, shape->keys * other * sizeof(float));
  for (int64_t first = 0; first < shape->queries; first += QUERIES) {
    int64_t count = shape->queries - first < QUERIES ? shape->queries - first : QUERIES;
    int strange = prepare(h, d, first, count);
    memset(d->dquery, 0, count * size * sizeof(float));
    for (int64_t key = 0; key < shape->keys; key += KEYS) {
      int64_t keys = shape->keys - key < KEYS ? shape->keys - key : KEYS;
      if (strange || !dead(h, first, count, key, keys)) key_block(h, d, first, count, key, keys);
    }
    give(d->dquery, count, shape->size, b->whole.scale, dquery + first * shape->dquery.row, shape->dquery.row);
  }
  give(d->dkey, shape->keys, shape->size, b->whole.scale, dkey, shape->dkey.row);
  give(d->dvalue, shape->keys, shape->other, 1.0f, dvalue, shape->dvalue.row);
}

static void head_work(void *context, int64_t from, int64_t to) {
  const backward *b = context;
  const attention_shape *shape = b->whole.shape;
  int64_t size = padded(shape->size), other = padded(shape->other);
  int64_t words = QUERIES * (shape->size + 2 * shape->other + 2 * KEYS + size) + shape->keys * (size + other);
  desk d;
  d.queries = reserved(words * sizeof(float));
  d.grads = d.queries + QUERIES * shape->size;
  d.outs = d.grads + QUERIES * shape->other;
  d.weights = d.outs + QUERIES * shape->other;
  d.slopes = d.weights + QUERIES * KEYS;
  d.dquery = d.slopes + QUERIES * KEYS;
  d.dkey = d.dquery + QUERIES * size;
  d.dvalue = d.dkey + shape->keys * size;
  for (int64_t item = from; item < to; item++) {
    int64_t batch = item / shape->heads, number = item % shape->heads;
    head_of h = head(&b->whole, batch, number);
    h.skips = can_skip(&h);
    whole_head(b, &h, &d, b->dquery + batch * shape->dquery.batch + number * shape->dquery.head,
               b->dkey + batch * shape->dkey.batch + number * shape->dkey.head, b->dvalue + batch * shape->dvalue.batch + number * shape->dvalue.head);
  }
  free(d.queries);
}

void canonical_attention_backward(float *dquery, float *dkey, float *dvalue, const float *grad, const float *query, const float *key,
                                  const float *value, const float *out, const float *sums, const float *mask, const attention_shape *shape,
                                  float scale) {
  backward b = {{shape, query, key, value, mask, out, sums, grad, scale, 0}, dquery, dkey, dvalue};
  pool_run(shape->batches * shape->heads, 1, head_work, &b);
}
