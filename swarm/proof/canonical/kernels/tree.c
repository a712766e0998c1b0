// Merkle trees over the words of values, as swarm/merkle.py has them: chunks of 8 words (32 bytes, little-endian, the last one filled up with
// zeros), leaf keccak256(0x00 || chunk), node keccak256(0x01 || left || right), an odd last node moves up. Each hash is one permutation
// (Keccak-f[1600], FIPS 202; padding 0x01 as in Ethereum), and LANES of them are done side by side.
#include <stdlib.h>
#include "pool.h"
#include "vector.h"
#include "workspace.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are little-endian"
#endif

#define LANES (REGISTER / 2)
#define HASH 4    // 64-bit words of a hash and of a chunk
#define CHUNK 8   // words of a chunk
#define BLOCK 10  // levels that are climbed at once, in the cache
#define GRAIN 512 // hashes that are worth waking a thread for
#define ROUNDS 24

typedef uint64_t lanes __attribute__((vector_size(LANES * 8)));

#if REGISTER == 16
#define ROTATED(x, n) ((lanes)_mm512_rol_epi64((__m512i)(x), n))
#define XOR3(a, b, c) ((lanes)_mm512_ternarylogic_epi64((__m512i)(a), (__m512i)(b), (__m512i)(c), 0x96))
#define CHI(a, b, c) ((lanes)_mm512_ternarylogic_epi64((__m512i)(a), (__m512i)(b), (__m512i)(c), 0xd2))
#else
#define ROTATED(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))
#endif

static const uint64_t ROUND[ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

// word y * 5 + x of the state; b[y][2x + 3y] takes a[x][y] rotated
#define MOVED(to, from, n) b[to] = ROTATED(s[from] ^ d[from % 5], n)

static void permute(lanes *s) {
  for (int round = 0; round < ROUNDS; round++) {
    lanes c[5], d[5], b[25];
#pragma GCC unroll 5
    for (int x = 0; x < 5; x++) c[x] = XOR3(XOR3(s[x], s[x + 5], s[x + 10]), s[x + 15], s[x + 20]);
#pragma GCC unroll 5
    for (int x = 0; x < 5; x++) d[x] = c[(x + 4) % 5] ^ ROTATED(c[(x + 1) % 5], 1);
    b[0] = s[0] ^ d[0];
    MOVED(10, 1, 1), MOVED(20, 2, 62), MOVED(5, 3, 28), MOVED(15, 4, 27);
    MOVED(16, 5, 36), MOVED(1, 6, 44), MOVED(11, 7, 6), MOVED(21, 8, 55), MOVED(6, 9, 20);
    MOVED(7, 10, 3), MOVED(17, 11, 10), MOVED(2, 12, 43), MOVED(12, 13, 25), MOVED(22, 14, 39);
    MOVED(23, 15, 41), MOVED(8, 16, 45), MOVED(18, 17, 15), MOVED(3, 18, 21), MOVED(13, 19, 8);
    MOVED(14, 20, 18), MOVED(24, 21, 2), MOVED(9, 22, 61), MOVED(19, 23, 56), MOVED(4, 24, 14);
#pragma GCC unroll 5
    for (int y = 0; y < 25; y += 5)
#pragma GCC unroll 5
      for (int x = 0; x < 5; x++) s[y + x] = CHI(b[y + x], b[y + (x + 1) % 5], b[y + (x + 2) % 5]);
    s[0] ^= ROUND[round];
  }
}

// keccak256(tag || message) for `count` messages of `words` 64-bit words (4 or 8) one behind the other; `to` may be `from`: a hash is no
// longer than what it is of.
static void hash(uint64_t tag, const uint64_t *from, int words, int64_t count, uint64_t *to) {
  for (int64_t first = 0; first < count; first += LANES) {
    const int64_t some = count - first < LANES ? count - first : LANES;
    lanes s[25] = {0}, before = {0};
    for (int i = 0; i < words; i++) {
      lanes one = {0};
      for (int64_t lane = 0; lane < some; lane++) one[lane] = from[(first + lane) * words + i];
      s[i] = (one << 8) | (i ? before >> 56 : before + tag);
      before = one;
    }
    s[words] = (before >> 56) | (uint64_t)0x0100;
    s[16] ^= (uint64_t)0x80 << 56;
    permute(s);
    for (int64_t lane = 0; lane < some; lane++)
      for (int i = 0; i < HASH; i++) to[(first + lane) * HASH + i] = s[i][lane];
  }
}

// The level above `count` nodes; gives how many it has.
static int64_t above(const uint64_t *nodes, int64_t count, uint64_t *to) {
  hash(1, nodes, 2 * HASH, count / 2, to);
  if (count & 1) memmove(to + count / 2 * HASH, nodes + (count - 1) * HASH, HASH * 8);
  return (count + 1) / 2;
}

typedef struct {
  const uint32_t *words;
  int64_t count, levels;
  uint64_t *to;
} job;

// Nodes `from` to `to` of a level at most BLOCK high, each from its own leaves.
static void climb(void *context, int64_t from, int64_t to) {
  const job *all = context;
  const int64_t width = (int64_t)1 << all->levels;
  uint64_t *nodes = workspace(width * HASH * 8), last[HASH];
  for (int64_t node = from; node < to; node++) {
    int64_t start = node * width * CHUNK, end = start + width * CHUNK < all->count ? start + width * CHUNK : all->count;
    int64_t whole = (end - start) / CHUNK, rest = (end - start) % CHUNK, count = whole + (rest > 0);
    memcpy(nodes, all->words + start, whole * CHUNK * 4);
    if (rest) {
      memset(last, 0, sizeof last);
      memcpy(last, all->words + start + whole * CHUNK, rest * 4);
      memcpy(nodes + whole * HASH, last, sizeof last);
    }
    hash(0, nodes, HASH, count, nodes);
    for (int64_t level = 0; level < all->levels; level++) count = above(nodes, count, nodes);
    memcpy(all->to + node * HASH, nodes, HASH * 8);
  }
}

static void leaves(void *context, int64_t from, int64_t to) {
  const job *all = context;
  int64_t whole = all->count / CHUNK;
  int64_t end = to < whole ? to : whole;
  if (from < end) hash(0, (const uint64_t *)(all->words + from * CHUNK), HASH, end - from, all->to + from * HASH);
  if (to > whole) {
    uint64_t last[HASH] = {0};
    memcpy(last, all->words + whole * CHUNK, (all->count - whole * CHUNK) * 4);
    hash(0, last, HASH, 1, all->to + whole * HASH);
  }
}

typedef struct {
  const uint64_t *nodes;
  uint64_t *to;
} rise;

static void pairs(void *context, int64_t from, int64_t to) {
  const rise *all = context;
  hash(1, all->nodes + from * 2 * HASH, 2 * HASH, to - from, all->to + from * HASH);
}

// The leaves over `count` words: to has room for ceil(count / 8) hashes.
void canonical_tree_leaves(const uint32_t *words, int64_t count, uint64_t *to) {
  job all = {words, count, 0, to};
  pool_run((count + CHUNK - 1) / CHUNK, GRAIN, leaves, &all);
}

// The level above `count` nodes, into other memory: to has room for ceil(count / 2) hashes.
void canonical_tree_above(const uint64_t *nodes, int64_t count, uint64_t *to) {
  rise all = {nodes, to};
  pool_run(count / 2, GRAIN, pairs, &all);
  if (count & 1) memcpy(to + count / 2 * HASH, nodes + (count - 1) * HASH, HASH * 8);
}

// The nodes of level BLOCK (of the root, where the tree is lower) over `count` words: to has room for ceil(count / 8 / 2^BLOCK) hashes.
void canonical_tree_blocks(const uint32_t *words, int64_t count, uint64_t *to) {
  int64_t chunks = (count + CHUNK - 1) / CHUNK, width = (int64_t)1 << BLOCK;
  job all = {words, count, BLOCK, to};
  pool_run((chunks + width - 1) / width, 1, climb, &all);
}
