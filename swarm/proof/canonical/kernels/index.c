// Sums that go back to the rows which indices picked: out[index[p]] + source[p], positions p ascending, one addition at a time.
#include "pool.h"
#include "vector.h"

#define STRIP 256
#define GRAIN_WORDS 16384

typedef struct {
  float *out;          // (outer, entries, inner), added to
  const float *source; // (outer, positions, inner)
  const int64_t *index; // (positions), or like source; below 0: nowhere
  int64_t outer, entries, positions, inner;
  int32_t each; // an index for every word
} scattered;

INLINE void add_row(float *out, const float *source, int64_t width) {
  int64_t i = 0;
  for (; i + W <= width; i += W) v_store(out + i, v_clean(v_load(out + i) + v_load(source + i)));
  for (; i < width; i++) out[i] = s_clean(out[i] + source[i]);
}

// Work is cut over (outer, strips of inner): each output word is one thread's.
static void index_work(void *context, int64_t from, int64_t to) {
  const scattered *s = context;
  int64_t strips = (s->inner + STRIP - 1) / STRIP;
  for (int64_t item = from; item < to; item++) {
    int64_t first = item % strips * STRIP, width = s->inner - first < STRIP ? s->inner - first : STRIP;
    float *out = s->out + item / strips * s->entries * s->inner + first;
    const float *source = s->source + item / strips * s->positions * s->inner + first;
    for (int64_t p = 0; p < s->positions; p++)
      if (s->index[p] >= 0) add_row(out + s->index[p] * s->inner, source + p * s->inner, width);
  }
}

static void each_work(void *context, int64_t from, int64_t to) {
  const scattered *s = context;
  for (int64_t outer = from; outer < to; outer++) {
    float *out = s->out + outer * s->entries * s->inner;
    int64_t start = outer * s->positions * s->inner;
    for (int64_t p = 0; p < s->positions; p++)
      for (int64_t i = 0; i < s->inner; i++) {
        int64_t place = start + p * s->inner + i;
        float *word = out + s->index[place] * s->inner + i;
        *word = s_clean(*word + s->source[place]);
      }
  }
}

void canonical_index_add(float *out, const float *source, const int64_t *index, int64_t outer, int64_t entries, int64_t positions, int64_t inner,
                         int32_t each) {
  scattered s = {out, source, index, outer, entries, positions, inner, each};
  int64_t words = positions * (each || inner < STRIP ? inner : STRIP), grain = words < GRAIN_WORDS ? GRAIN_WORDS / (words > 0 ? words : 1) : 1;
  if (each) pool_run(outer, grain, each_work, &s);
  else pool_run(outer * ((inner + STRIP - 1) / STRIP), grain, index_work, &s);
}
