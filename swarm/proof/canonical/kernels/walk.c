// Runs a walk: its rows are numbered row-major over the outer axes, long rows are cut into blocks, and the pool takes blocks.
#include "walk.h"

#define BLOCK 8192 // elements of a row that are one piece of work
#define GRAIN 16384 // elements that are worth waking a thread for

typedef struct {
  const walk *shape;
  float *const *base;
  walk_row row;
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

static void next_row(const walk *shape, int64_t *index, float **at) {
  for (int64_t axis = shape->axes - 2; axis >= 0; axis--) {
    for (int64_t o = 0; o < shape->operands; o++) at[o] += shape->stride[o][axis];
    if (++index[axis] < shape->size[axis]) return;
    for (int64_t o = 0; o < shape->operands; o++) at[o] -= shape->size[axis] * shape->stride[o][axis];
    index[axis] = 0;
  }
}

static void run_part_of_row(const job *all, float *const *at, const int64_t *step, int64_t block) {
  int64_t start = block * BLOCK, n = all->length - start < BLOCK ? all->length - start : BLOCK;
  float *part[WALK_OPERANDS];
  for (int64_t o = 0; o < all->shape->operands; o++) part[o] = at[o] + start * step[o];
  all->row(all->context, part, step, n);
}

static void run_blocks(void *context, int64_t from, int64_t to) {
  const job *all = context;
  const walk *shape = all->shape;
  int64_t index[WALK_AXES], step[WALK_OPERANDS], block = from % all->blocks;
  float *at[WALK_OPERANDS];
  for (int64_t o = 0; o < shape->operands; o++) {
    at[o] = all->base[o];
    step[o] = shape->stride[o][shape->axes - 1];
  }
  seek(shape, from / all->blocks, index, at);
  for (int64_t number = from; number < to; number++) {
    if (all->blocks == 1) all->row(all->context, at, step, all->length);
    else run_part_of_row(all, at, step, block);
    if (++block == all->blocks) {
      block = 0;
      next_row(shape, index, at);
    }
  }
}

void walk_run(const walk *shape, float *const *base, walk_row row, const void *context) {
  job all = {shape, base, row, context, shape->size[shape->axes - 1], 0};
  int64_t rows = 1;
  for (int64_t axis = 0; axis < shape->axes - 1; axis++) rows *= shape->size[axis];
  if (rows == 0 || all.length == 0) return;
  all.blocks = (all.length + BLOCK - 1) / BLOCK;
  int64_t piece = all.length < BLOCK ? all.length : BLOCK;
  pool_run(rows * all.blocks, piece >= GRAIN ? 1 : GRAIN / piece, run_blocks, &all);
}
