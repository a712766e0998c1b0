// Runs a walk: its rows are numbered row-major over the outer axes, long rows are cut into blocks, and the pool takes blocks.
#include "walk.h"

#define BLOCK 8192 // elements of a row that are one piece of work
#define GRAIN 16384 // elements that are worth waking a thread for

typedef struct {
  const walk *shape;
  float *const *base;
  walk_work work;
  const void *context;
  int64_t length, blocks; // of a row; per row
} job;

// Moves `at` to the start of row number `row`; gives its index along each outer axis.
static void seek(const walk *shape, int64_t row, int64_t *index, float **at) {
  for (int64_t axis = shape->axes - 2; axis >= 0; axis--) {
    index[axis] = row % shape->size[axis];
    row /= shape->size[axis];
    for (int64_t o = 0; o < shape->operands; o++) at[o] += index[axis] * shape->stride[o][axis];
  }
}

// Moves on by `count` rows of the innermost outer axis, which do not go beyond its end.
static void advance(const walk *shape, int64_t count, int64_t *index, float **at) {
  for (int64_t axis = shape->axes - 2; axis >= 0; axis--) {
    for (int64_t o = 0; o < shape->operands; o++) at[o] += count * shape->stride[o][axis];
    index[axis] += count;
    if (index[axis] < shape->size[axis]) return;
    for (int64_t o = 0; o < shape->operands; o++) at[o] -= shape->size[axis] * shape->stride[o][axis];
    index[axis] = 0;
    count = 1;
  }
}

// Whole rows of the innermost outer axis go to the work together.
static void run_rows(const job *all, walk_rows *rows, int64_t *index, int64_t count) {
  const walk *shape = all->shape;
  const int64_t axis = shape->axes - 2;
  while (count > 0) {
    rows->count = axis < 0 || shape->size[axis] - index[axis] > count ? count : shape->size[axis] - index[axis];
    all->work(all->context, rows);
    advance(shape, rows->count, index, rows->at);
    count -= rows->count;
  }
}

// A long row goes there in blocks, the first of which is number `block`.
static void run_parts(const job *all, walk_rows *rows, int64_t *index, int64_t block, int64_t count) {
  for (; count > 0; count--) {
    walk_rows part = *rows;
    int64_t start = block * BLOCK;
    for (int64_t o = 0; o < all->shape->operands; o++) part.at[o] += start * rows->step[o];
    part.length = all->length - start < BLOCK ? all->length - start : BLOCK;
    all->work(all->context, &part);
    if (++block == all->blocks) {
      block = 0;
      advance(all->shape, 1, index, rows->at);
    }
  }
}

static void run_blocks(void *context, int64_t from, int64_t to) {
  const job *all = context;
  const walk *shape = all->shape;
  int64_t index[WALK_AXES];
  walk_rows rows = {.length = all->length, .count = 1};
  for (int64_t o = 0; o < shape->operands; o++) {
    rows.at[o] = all->base[o];
    rows.step[o] = shape->stride[o][shape->axes - 1];
    rows.jump[o] = shape->axes > 1 ? shape->stride[o][shape->axes - 2] : 0;
  }
  seek(shape, from / all->blocks, index, rows.at);
  if (all->blocks == 1) run_rows(all, &rows, index, to - from);
  else run_parts(all, &rows, index, from % all->blocks, to - from);
}

void walk_run(const walk *shape, float *const *base, walk_work work, const void *context) {
  job all = {shape, base, work, context, shape->size[shape->axes - 1], 0};
  int64_t rows = 1;
  for (int64_t axis = 0; axis < shape->axes - 1; axis++) rows *= shape->size[axis];
  if (rows == 0 || all.length == 0) return;
  all.blocks = (all.length + BLOCK - 1) / BLOCK;
  int64_t piece = all.length < BLOCK ? all.length : BLOCK;
  pool_run(rows * all.blocks, piece >= GRAIN ? 1 : GRAIN / piece, run_blocks, &all);
}
