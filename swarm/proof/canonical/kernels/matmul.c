// Products of matrices. Each element of C is one accumulator from +0: FMA(A[m,k], B[k,n], acc), k ascending over the whole of K, then
// ADD(acc, +0); an element that is not a number is 0x7fc00000. With a bias D: t = that element, then
//   alpha = 1: ADD(t, MUL(beta, D)), and D itself where beta = 1;   else FMA(alpha, t, ...);   beta = 0: D is not read, t or MUL(alpha, t).
// Blocks of K keep the accumulator in C between them, as the float32 it is, so blocking changes no bit; nor do panels, tiles and threads,
// which only choose which elements of C are computed when.
//
// C is cut into tiles of at most ROWS x COLUMNS whose accumulators stay in registers. B is copied into panels of COLUMNS columns, k-major; A is
// read where it lies when its rows are consecutive, else copied tile by tile.
#include "pool.h"
#include "transpose.h"
#include "workspace.h"

#if REGISTER == 16
#define ROWS 14
#define VECTORS 2
#elif W == 16
#define ROWS 6
#define VECTORS 1
#elif W == 8
#define ROWS 6
#define VECTORS 2
#elif defined(__aarch64__)
#define ROWS 6
#define VECTORS 4
#else
#define ROWS 2
#define VECTORS 4
#endif
#define COLUMNS (VECTORS * W)

#define DEPTH 640          // most k of a block; where A is copied:
#define DEPTH_COPIED 256
#define DEPTH_DIRECT 8     // the same where B is read where it lies, along its rows
#define PANELS_DIRECT 64   // and how many panels' width is read so before the next rows
#define PANELS 160000      // most floats of B's panels: they stay in the second-level cache
#define SPREAD 16         // floats between copied rows: rows 4096 bytes apart would push each other out of the cache
#define PIECES 4           // for each thread, so that a slow one does not hold up the others
#define FEW_PANELS 2       // and fewest of them, and of rows, in a piece that is made for that
#define FEW_ROWS 112
#define WORK 131072        // terms that are worth waking a thread for

// Sizes, and strides in floats; C's columns are consecutive. ops/matmul.py fills it in.
typedef struct {
  int64_t batch, rows, columns, depth; // B, M, N, K
  int64_t a_batch, a_row, a_k;
  int64_t b_batch, b_k, b_column;
  int64_t c_batch, c_row;
  int64_t bias_batch, bias_row, bias_column;
} shape;

typedef struct {
  const shape *s;
  const float *a, *b;
  float *c;
  const float *bias; // or NULL
  float alpha, beta;
  int64_t depth, panels;             // of a block: k, panels of B
  int direct;                        // B is read where it lies
  int64_t row_pieces, column_pieces; // how C is cut for the pool
  int64_t piece_rows, piece_columns;
} product;

INLINE int64_t least(int64_t one, int64_t other) { return one < other ? one : other; }

// ---- the tile: height x COLUMNS elements over `depth` k

typedef struct {
  const float *a;
  int64_t a_row, a_k;
  const float *b;
  int64_t b_k;
  float *c;
  int64_t c_row, depth;
  int first, last; // block of K
} tile;

INLINE void tile_run(const tile *t, const int height) {
  V acc[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int r = 0; r < height; r++)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) acc[r][v] = t->first ? (V){0} : v_load(t->c + r * t->c_row + v * W);
  const float *a[(ROWS + 2) / 3]; // one pointer for three rows: there are few registers for addresses
#pragma GCC unroll 16
  for (int r = 0; r < height; r += 3) a[r / 3] = t->a + r * t->a_row;
  const float *b = t->b;
  const int64_t a_row = t->a_row, a_k = t->a_k, b_k = t->b_k;
  for (int64_t k = 0; k < t->depth; k++) {
    V line[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) line[v] = v_load(b + v * W);
#pragma GCC unroll 16
    for (int r = 0; r < height; r++) {
      V one = v_set1(a[r / 3][(r % 3) * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; v++) acc[r][v] = v_fma(one, line[v], acc[r][v]);
    }
    b += b_k;
#pragma GCC unroll 16
    for (int r = 0; r < height; r += 3) a[r / 3] += a_k;
  }
#pragma GCC unroll 16
  for (int r = 0; r < height; r++)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) v_store(t->c + r * t->c_row + v * W, t->last ? v_clean(acc[r][v] + v_set1(0)) : acc[r][v]);
}

#define TILE(height) \
  static void tile_##height(const tile *t) { tile_run(t, height); }
TILE(1)
TILE(2)
#if ROWS >= 6
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#endif
#if ROWS >= 14
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
TILE(13)
TILE(14)
#endif

static void (*const TILES[])(const tile *) = {NULL, tile_1, tile_2,
#if ROWS >= 6
                                              tile_3, tile_4, tile_5, tile_6,
#endif
#if ROWS >= 14
                                              tile_7, tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14
#endif
};

INLINE int64_t within(int64_t lanes) { return lanes < 0 ? 0 : least(lanes, W); }

// A tile at the right edge has `width` < COLUMNS columns: the whole one is made aside, of a panel filled up with zeros.
static void tile_edge(const tile *t, int height, int64_t width) {
  float aside[ROWS * COLUMNS];
  tile whole = *t;
  whole.c = aside;
  whole.c_row = COLUMNS;
  for (int r = 0; r < height && !t->first; r++)
    for (int64_t n = 0; n < COLUMNS; n += W) v_store(aside + r * COLUMNS + n, v_load_part(t->c + r * t->c_row + n, within(width - n)));
  TILES[height](&whole);
  for (int r = 0; r < height; r++)
    for (int64_t n = 0; n < width; n += W) v_store_part(t->c + r * t->c_row + n, v_load(aside + r * COLUMNS + n), within(width - n));
}

// ---- panels

INLINE void copy_few(float *to, const float *from, int n) {
#if W >= ROWS
  v_store(to, v_load_part(from, n)); // what lies behind is written next, or is SPREAD
#else
  for (int i = 0; i < n; i++) to[i] = from[i];
#endif
}

// `width` columns of B from b on, over `depth` k, as to[k * COLUMNS + column]; the rest is 0.
static void pack_panel(const shape *s, const float *b, int64_t depth, int64_t width, float *to) {
  if (width < COLUMNS) memset(to, 0, depth * COLUMNS * sizeof *to);
  if (s->b_k == 1) {
    transpose(b, s->b_column, width, depth, to, COLUMNS);
  } else if (s->b_column == 1 && width == COLUMNS) {
    for (int64_t k = 0; k < depth; k++) memcpy(to + k * COLUMNS, b + k * s->b_k, COLUMNS * sizeof *to);
  } else {
    for (int64_t k = 0; k < depth; k++)
      for (int64_t n = 0; n < width; n++) to[k * COLUMNS + n] = b[k * s->b_k + n * s->b_column];
  }
}

// `height` rows of A from a on, over `depth` k: as they lie, at a distance of `depth` and a bit, where they are consecutive; else as
// to[k * ROWS + row].
static void pack_rows(const shape *s, const float *a, int64_t depth, int height, float *to) {
  if (s->a_k == 1) {
    for (int r = 0; r < height; r++) memcpy(to + r * (depth + SPREAD), a + r * s->a_row, depth * sizeof *to);
  } else if (s->a_row == 1) {
    for (int64_t k = 0; k < depth; k++) copy_few(to + k * ROWS, a + k * s->a_k, height);
  } else {
    for (int64_t k = 0; k < depth; k++)
      for (int r = 0; r < height; r++) to[k * ROWS + r] = a[k * s->a_k + r * s->a_row];
  }
}

// ---- bias: a factor of 1 changes no bit of a product, so it needs no case of its own

#define BIAS_ROW(name, expression)                                                                                       \
  static void name(float *c, const float *bias, int64_t step, int64_t n, V alpha, V beta) {                              \
    (void)alpha;                                                                                                         \
    for (int64_t i = 0; i < n; i += W) {                                                                                 \
      int64_t lanes = least(n - i, W);                                                                                   \
      V total = v_load_part(c + i, lanes), other = step == 1 ? v_load_part(bias + i, lanes) : v_load_strided(bias + i * step, step, lanes); \
      v_store_part(c + i, v_clean(expression), lanes);                                                                   \
    }                                                                                                                    \
  }
BIAS_ROW(plus_row, total + beta * other)
BIAS_ROW(mix_row, v_fma(alpha, total, beta * other))

static void scale_row(float *c, int64_t n, V alpha) {
  for (int64_t i = 0; i < n; i += W) v_store_part(c + i, v_clean(alpha * v_load_part(c + i, least(n - i, W))), least(n - i, W));
}

static void add_bias(const product *p, int64_t batch, int64_t m, int64_t from, int64_t to) {
  float *c = p->c + batch * p->s->c_batch + m * p->s->c_row + from;
  const float *bias = p->bias + batch * p->s->bias_batch + m * p->s->bias_row + from * p->s->bias_column;
  V alpha = v_set1(p->alpha), beta = v_set1(p->beta);
  if (p->beta == 0) scale_row(c, to - from, alpha);
  else (p->alpha == 1 ? plus_row : mix_row)(c, bias, p->s->bias_column, to - from, alpha, beta);
}

static int read_in_place(const shape *s) { return s->a_k == 1 && s->a_row % 1024 != 0; } // the rows of A, see SPREAD

// ---- a piece of C: rows m0 to m1, columns n0 to n1 of one batch, in blocks of K

static void run_block(const product *p, int64_t batch, int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t k0, int64_t k1, float *panels) {
  const shape *s = p->s;
  const float *a = p->a + batch * s->a_batch + k0 * s->a_k, *b = p->b + batch * s->b_batch + k0 * s->b_k;
  const int64_t depth = k1 - k0, rows = m1 - m0, tiles = (rows + ROWS - 1) / ROWS, panel = p->direct ? 0 : depth;
  float *copied = panels + (p->direct ? 1 : p->panels) * p->depth * COLUMNS;
  const int consecutive = s->a_k == 1, whole = read_in_place(s);
  tile t = {.c_row = s->c_row, .depth = depth, .first = k0 == 0, .last = k1 == s->depth};
  t.a_row = whole ? s->a_row : consecutive ? depth + SPREAD : 1;
  t.a_k = consecutive ? 1 : ROWS;
  for (int64_t n = p->direct ? n1 - (n1 - n0) % COLUMNS : n0; n < n1; n += COLUMNS)
    pack_panel(s, b + n * s->b_column, depth, n1 - n < COLUMNS ? n1 - n : COLUMNS, panels + (n - n0) * panel);
  for (int64_t i = 0; i < tiles; i++) {
    int64_t m = m0 + rows * i / tiles;
    int height = (int)(m0 + rows * (i + 1) / tiles - m);
    if (!whole) pack_rows(s, a + m * s->a_row, depth, height, copied);
    t.a = whole ? a + m * s->a_row : copied;
    for (int64_t n = n0; n < n1; n += COLUMNS) {
      int64_t width = n1 - n < COLUMNS ? n1 - n : COLUMNS;
      int here = p->direct && width == COLUMNS;
      t.b = here ? b + n : panels + (n - n0) * panel;
      t.b_k = here ? s->b_k : COLUMNS;
      t.c = p->c + batch * s->c_batch + m * s->c_row + n;
      if (width == COLUMNS) TILES[height](&t);
      else tile_edge(&t, height, width);
    }
    if (t.last && p->bias)
      for (int64_t r = m; r < m + height; r++) add_bias(p, batch, r, n0, n1);
  }
}

static void run_pieces(void *context, int64_t from, int64_t to) {
  const product *p = context;
  const shape *s = p->s;
  float *space = workspace(((p->direct ? 1 : p->panels) * COLUMNS * p->depth + ROWS * (p->depth + SPREAD)) * sizeof(float));
  for (int64_t piece = from; piece < to; piece++) {
    int64_t n0 = piece % p->column_pieces * p->piece_columns, n1 = least(n0 + p->piece_columns, s->columns);
    int64_t m0 = piece / p->column_pieces % p->row_pieces * p->piece_rows, m1 = least(m0 + p->piece_rows, s->rows);
    int64_t batch = piece / p->column_pieces / p->row_pieces;
    for (int64_t k = 0; k < s->depth || k == 0; k += p->depth) run_block(p, batch, m0, m1, n0, n1, k, least(k + p->depth, s->depth), space);
  }
}

// ---- how C is cut: into wide pieces, but enough of them for the threads; none of it changes a bit

static int64_t parts(int64_t whole, int64_t most) { return (whole + most - 1) / most; }

// More pieces than the cache asks for. Where A is read in place narrower ones cost nothing; else the longer side of a piece is halved, as
// each piece copies its part of A and of B.
static void cut_for_threads(const shape *s, int in_place, int64_t wide, int64_t *rows, int64_t *columns) {
  int64_t wanted = pool_threads() > 1 ? pool_threads() * (in_place ? PIECES : PIECES / 2) : 1;
  while (s->batch * *rows * *columns < wanted) {
    int more_columns = *columns * FEW_PANELS < wide, more_rows = *rows * FEW_ROWS < s->rows;
    if (more_columns && (in_place || !more_rows || s->columns / *columns >= s->rows / *rows)) ++*columns;
    else if (more_rows) ++*rows;
    else break;
  }
}

static int64_t cut(product *p) {
  const shape *s = p->s;
  const int in_place = read_in_place(s), once = s->rows <= ROWS; // `once`: each panel of B is used for one tile only
  p->direct = once && s->b_column == 1;
  p->depth = s->depth ? parts(s->depth, parts(s->depth, p->direct ? DEPTH_DIRECT : in_place ? DEPTH : DEPTH_COPIED)) : 1;
  int64_t wide = parts(s->columns, COLUMNS), most = p->direct ? PANELS_DIRECT : once ? 1 : PANELS / (p->depth * COLUMNS);
  int64_t rows = 1, columns = parts(wide, most < 1 ? 1 : most);
  cut_for_threads(s, in_place, wide, &rows, &columns);
  p->panels = parts(wide, columns);
  p->piece_columns = p->panels * COLUMNS;
  p->column_pieces = parts(wide, p->panels);
  p->piece_rows = parts(s->rows, rows);
  p->row_pieces = parts(s->rows, p->piece_rows);
  int64_t terms = p->piece_rows * p->piece_columns * (s->depth + 1);
  return terms >= WORK ? 1 : parts(WORK, terms);
}

static void run(product *p) {
  const shape *s = p->s;
  if (s->batch <= 0 || s->rows <= 0 || s->columns <= 0) return;
  int64_t grain = cut(p);
  pool_run(s->batch * p->row_pieces * p->column_pieces, grain, run_pieces, p);
}

void canonical_matmul(const shape *s, const float *a, const float *b, float *c) { run(&(product){.s = s, .a = a, .b = b, .c = c}); }

void canonical_addmm(const shape *s, const float *a, const float *b, float *c, const float *bias, float alpha, float beta) {
  run(&(product){.s = s, .a = a, .b = b, .c = c, .bias = bias, .alpha = alpha, .beta = beta});
}
