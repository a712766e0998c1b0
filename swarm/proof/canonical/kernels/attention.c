// Attention forward, for each query: s as in attention.h; m the largest s, +0 where that is -inf; e = exp(s - m); l = sum of e and
// a = sum of fma(e, value), keys ascending, from +0; out = a * (1 / l) + 0, the factor +0 where l = 0; logsumexp = log(l) + m.
//
// The largest s here passes over what is not a number and may be either zero, which changes no word: such an e makes l not a number, and
// exp does not tell the zeros apart.
#include "math.h"
#include "attention.h"
#include "workspace.h"

#define LINE 16 // words of a cache's line
#define FEW 4 // fewer queries than this are taken one by one

typedef struct {
  head_of whole;
  float *out, *sums;
} forward;

typedef struct {
  float *queries, *weights, *products;
  float top[QUERIES], total[QUERIES];
  char *alive;
} desk;

// Where all values are finite and no score overflows, a key with weight +0 adds nothing (a sum that is -0 becomes +0 in the end).
static int can_skip(const head_of *h) {
  const attention_shape *shape = h->shape;
  if (!shape->causal && !h->mask) return 0;
  if (largest(h->value, shape->value.row, shape->keys, shape->other) == __builtin_inff()) return 0;
  if (!h->mask) return 1;
  double q = largest(h->query, shape->query.row, shape->queries, shape->size), k = largest(h->key, shape->key.row, shape->keys, shape->size);
  double scale = h->scale < 0 ? -h->scale : h->scale;
  return q * k * (double)shape->size * (scale > 1 ? scale : 1) < 1e38;
}

static head_of head(const head_of *whole, int64_t batch, int64_t number) {
  const attention_shape *shape = whole->shape;
  head_of h = *whole;
  h.query = head_at(whole->query, shape->query, batch, number);
  h.key = head_at(whole->key, shape->key, batch, number / shape->group);
  h.value = head_at(whole->value, shape->value, batch, number / shape->group);
  h.mask = head_at(whole->mask, shape->mask, batch, number);
  return h;
}

static void weigh(desk *d, int64_t columns, int64_t key, int64_t keys) {
  for (int64_t i = 0; i < columns; i += W) {
    V top = v_load(d->top + i), total = v_load(d->total + i);
    for (int64_t j = key; j < key + keys; j++) {
      V e = v_exp(v_load(d->weights + j * QUERIES + i) - top);
      v_store(d->weights + j * QUERIES + i, e);
      total = total + e;
    }
    v_store(d->total + i, total);
  }
}

static void find_tops(desk *d, int64_t columns, int64_t key, int64_t keys) {
  for (int64_t i = 0; i < columns; i += W) {
    V top = v_load(d->top + i);
    for (int64_t j = key; j < key + keys; j++) top = v_larger(v_load(d->weights + j * QUERIES + i), top);
    v_store(d->top + i, top);
  }
}

static void give(const forward *f, const attention_shape *shape, const desk *d, int64_t count, float *out, float *sums) {
  float logs[QUERIES];
  for (int64_t i = 0; i < count; i += W) v_store(logs + i, v_log(v_load(d->total + i)) + v_load(d->top + i));
  for (int64_t i = 0; i < count; i++) {
    float share = d->total[i] == 0.0f ? 0.0f : 1.0f / d->total[i];
    sums[i * shape->sums.row] = s_clean(logs[i]);
    for (int64_t j = 0; j < shape->other; j += W) {
      V word = v_load(d->products + i * padded(shape->other) + j) * v_set1(share) + v_set1(0.0f);
      row_store(out + i * shape->out.row, j, shape->other - j, v_clean(word));
    }
  }
  (void)f;
}

static void block(const forward *f, const head_of *h, desk *d, int64_t first, float *out, float *sums) {
  const attention_shape *shape = h->shape;
  int64_t count = shape->queries - first < QUERIES ? shape->queries - first : QUERIES, columns = padded(count), more = 0;
  turned(h->query + first * shape->query.row, shape->query.row, count, shape->size, d->queries);
  for (int64_t i = 0; i < QUERIES; i++) {
    d->top[i] = -__builtin_inff();
    d->total[i] = 0.0f;
  }
  for (int64_t key = 0; key < shape->keys; key += KEYS) {
    int64_t keys = shape->keys - key < KEYS ? shape->keys - key : KEYS;
    d->alive[key / KEYS] = !dead(h, first, count, key, keys);
    if (!d->alive[key / KEYS]) continue;
    scores(h, first, count, key, keys, d->queries, d->weights + key * QUERIES);
    find_tops(d, columns, key, keys);
  }
  for (int64_t i = 0; i < columns; i++)
    if (d->top[i] == -__builtin_inff()) d->top[i] = 0.0f;
  int64_t width = padded(shape->other);
  memset(d->products, 0, count * width * sizeof(float));
  for (int64_t key = 0; key < shape->keys; key += KEYS) {
    if (!d->alive[key / KEYS]) continue;
    int64_t keys = shape->keys - key < KEYS ? shape->keys - key : KEYS;
    weigh(d, columns, key, keys);
    left_matrix weights = {d->weights + key * QUERIES, 1, QUERIES};
    product(count, shape->other, keys, weights, h->value + key * shape->value.row, shape->value.row, d->products, width, more != 0);
    more = 1;
  }
  give(f, shape, d, count, out, sums);
}

static void block_work(void *context, int64_t from, int64_t to) {
  const forward *f = context;
  const attention_shape *shape = f->whole.shape;
  int64_t blocks = (shape->queries + QUERIES - 1) / QUERIES, width = padded(shape->other);
  desk d;
  d.queries = reserved(((shape->size + shape->keys) * QUERIES + QUERIES * width) * sizeof(float) + shape->keys / KEYS + 1);
  d.weights = d.queries + shape->size * QUERIES;
  d.products = d.weights + shape->keys * QUERIES;
  d.alive = (char *)(d.products + QUERIES * width);
  head_of h = {0};
  int64_t current = -1;
  for (int64_t item = from; item < to; item++) {
    int64_t number = item / blocks, batch = number / shape->heads, first = item % blocks * QUERIES;
    if (number != current) {
      h = head(&f->whole, batch, number % shape->heads);
      h.skips = can_skip(&h);
      current = number;
    }
    float *out = f->out + batch * shape->out.batch + number % shape->heads * shape->out.head + first * shape->out.row;
    float *sums = f->sums + batch * shape->sums.batch + number % shape->heads * shape->sums.head + first * shape->sums.row;
    block(f, &h, &d, first, out, sums);
  }
  free(d.queries);
}

// ---- one query alone, as when a token is written: four keys in a vector, each its own sum

INLINE four four_fma(float a, four b, four c) {
#if defined(__FMA__) || defined(__AVX512F__)
  return (four)_mm_fmadd_ps(_mm_set1_ps(a), (__m128)b, (__m128)c);
#elif defined(__aarch64__)
  return (four)vfmaq_n_f32((float32x4_t)c, (float32x4_t)b, a);
#else
  for (int l = 0; l < 4; l++) c[l] = s_fma(a, b[l], c[l]);
  return c;
#endif
}

// the sums of 4 * groups keys from number j on; keys that are not there repeat the last one
INLINE void lone_sums(const int groups, const head_of *h, const float *q, int64_t j, float *sums) {
  const attention_shape *shape = h->shape;
  const float *key[16];
  four sum[4] = {0};
  for (int r = 0; r < 4 * groups; r++) key[r] = h->key + (j + r < shape->keys ? j + r : shape->keys - 1) * shape->key.row;
  int64_t d = 0;
  uintptr_t ahead = (uintptr_t)(4 * groups * shape->key.row) * sizeof(float); // the next keys, which a cache does not foresee in this order
  for (; d + 4 <= shape->size; d += 4)
#pragma GCC unroll 4
    for (int g = 0; g < groups; g++) {
      four word[4];
      if (d % LINE == 0)
        for (int r = 0; r < 4; r++) __builtin_prefetch((const void *)((uintptr_t)(key[4 * g + r] + d) + ahead));
      for (int r = 0; r < 4; r++) memcpy(&word[r], key[4 * g + r] + d, sizeof(four));
      turn_four(word);
      for (int r = 0; r < 4; r++) sum[g] = four_fma(q[d + r], word[r], sum[g]);
    }
  memcpy(sums, sum, groups * sizeof(four));
  for (; d < shape->size; d++)
    for (int r = 0; r < 4 * groups; r++) sums[r] = s_fma(q[d], key[r][d], sums[r]);
}

static void lone_scores(const head_of *h, int64_t query, float *s) {
  const attention_shape *shape = h->shape;
  const float *q = h->query + query * shape->query.row;
  int64_t j = 0;
  for (; j + 16 <= shape->keys; j += 16) lone_sums(4, h, q, j, s + j);
  for (; j < shape->keys; j += 4) lone_sums(1, h, q, j, s + j);
  for (j = 0; j < shape->keys; j++) {
    s[j] = s[j] * h->scale;
    if (h->mask) s[j] = s[j] + h->mask[j * shape->mask.row + query * shape->mask_query];
    if (shape->causal && j > query) s[j] = -__builtin_inff();
  }
}

static void lone_work(void *context, int64_t from, int64_t to) {
  const forward *f = context;
  const attention_shape *shape = f->whole.shape;
  float *s = reserved((shape->keys + 4 + padded(shape->other)) * sizeof(float)), *products = s + shape->keys + 4; // sums come by fours
  for (int64_t item = from; item < to; item++) {
    int64_t number = item / shape->queries, query = item % shape->queries, batch = number / shape->heads;
    head_of h = head(&f->whole, batch, number % shape->heads);
    lone_scores(&h, query, s);
    float top = row_top(s, shape->keys), total = 0.0f;
    if (top == -__builtin_inff()) top = 0.0f;
    for (int64_t j = 0; j < shape->keys; j += W) row_store(s, j, shape->keys - j, v_exp(row_load(s, j, shape->keys - j) - v_set1(top)));
    for (int64_t j = 0; j < shape->keys; j++) total = total + s[j];
    product(1, shape->other, shape->keys, (left_matrix){s, 0, 1}, h.value, shape->value.row, products, 0, 0);
    V share = v_set1(total == 0.0f ? 0.0f : 1.0f / total), logs = v_log(v_set1(total)) + v_set1(top);
    int64_t head_number = number % shape->heads;
    f->sums[batch * shape->sums.batch + head_number * shape->sums.head + query * shape->sums.row] = s_clean(logs[0]);
    float *out = f->out + batch * shape->out.batch + head_number * shape->out.head + query * shape->out.row;
    for (int64_t j = 0; j < shape->other; j += W)
      row_store(out, j, shape->other - j, v_clean(row_load(products, j, shape->other - j) * share + v_set1(0.0f)));
  }
  free(s);
}

void canonical_attention(float *out, float *sums, const float *query, const float *key, const float *value, const float *mask,
                         const attention_shape *shape, float scale) {
  forward f = {{shape, query, key, value, mask, NULL, NULL, NULL, scale, 0}, out, sums};
  int64_t heads = shape->batches * shape->heads;
  if (shape->queries < FEW) pool_run(heads * shape->queries, row_grain(shape->keys * shape->size), lone_work, &f);
  else pool_run(heads * ((shape->queries + QUERIES - 1) / QUERIES), row_grain(shape->keys * shape->size), block_work, &f);
}
