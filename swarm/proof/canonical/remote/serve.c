// Serves compiled kernels to a process of another architecture: serve KERNELS.so MEMORY, run under an emulator.
//
// A call comes in on standard input (`call` below: the function's name, its arguments as integers and floats), its result goes out on standard
// output. Pointers are the caller's. MEMORY is a descriptor of the caller's memory (/proc/self/mem); each pointer gets a window here in which
// nothing is mapped, and what a kernel touches is fetched when it faults, a block at a time. A block that is written keeps a twin of what it
// was; after the call the words that differ from it go back. So windows may show the same memory, as long as no kernel reads through one what
// it wrote through another: operators give outputs apart from inputs, or the very same tensor, element by element. The kernels work in one
// thread, whatever was asked for: a second one would see a block while it is being filled.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INTS 16
#define FLOATS 8
#define BLOCK ((uint64_t)1 << 16)
#define BLOCKS ((uint64_t)1 << 13) // in a window
#define PAGE 4096
#define TOUCHED 65536

typedef struct {
  char name[64];
  int64_t ints[INTS];
  double floats[FLOATS]; // a float32 lies in the lower half
  uint64_t pointers;     // bit i: ints[i] is an address of the caller's
} call;

typedef int64_t (*kernel)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
                          int64_t, int64_t, int64_t, double, double, double, double, double, double, double, double);

static struct {
  uint8_t *at;              // where the window lies here
  uint64_t from;            // the caller's address that it begins at
  uint64_t least, most;     // blocks touched
  uint32_t block[BLOCKS];   // number in `touched` + 1, 0 where it is not here
} windows[INTS];

static struct {
  uint32_t window, block;
  int written;
} touched[TOUCHED];

static uint32_t count;
static uint8_t *twins; // one block for each entry of `touched`
static int memory;

static void fail(const char *what) {
  write(2, what, strlen(what));
  _exit(3);
}

// Block of the caller's memory; pages that it does not have stay zero.
static void fetch(uint8_t *to, uint64_t from) {
  if (pread(memory, to, BLOCK, (off_t)from) == (ssize_t)BLOCK) return;
  for (uint64_t at = 0; at < BLOCK; at += PAGE) (void)!pread(memory, to + at, PAGE, (off_t)(from + at));
}

// The first touch of a block brings it here to be read, the second one is a write.
static void fault(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  uint8_t *address = info->si_addr;
  uint32_t w = 0;
  while (w < INTS && !(windows[w].at <= address && address < windows[w].at + BLOCK * BLOCKS)) w++;
  if (w == INTS || !windows[w].from) fail("the kernels touched memory that is not the caller's\n");
  uint64_t b = (uint64_t)(address - windows[w].at) / BLOCK;
  uint8_t *block = windows[w].at + b * BLOCK;
  if (!windows[w].block[b]) {
    if (count == TOUCHED) fail("a call touched too much memory\n");
    mprotect(block, BLOCK, PROT_READ | PROT_WRITE);
    fetch(block, windows[w].from + b * BLOCK);
    mprotect(block, BLOCK, PROT_READ);
    touched[count].window = w, touched[count].block = (uint32_t)b, touched[count].written = 0;
    windows[w].block[b] = ++count;
    if (b < windows[w].least) windows[w].least = b;
    if (b > windows[w].most) windows[w].most = b;
  } else if (!touched[windows[w].block[b] - 1].written) {
    memcpy(twins + (windows[w].block[b] - 1) * BLOCK, block, BLOCK);
    touched[windows[w].block[b] - 1].written = 1;
    mprotect(block, BLOCK, PROT_READ | PROT_WRITE);
  }
}

// Runs of words that differ from the twin.
static void give_back(const uint32_t *now, const uint32_t *before, uint64_t to) {
  for (uint64_t i = 0; i < BLOCK / 4;) {
    if (i % 16 == 0 && !memcmp(now + i, before + i, 64)) { i += 16; continue; }
    if (now[i] == before[i]) { i++; continue; }
    uint64_t end = i + 1;
    while (end < BLOCK / 4 && now[end] != before[end]) end++;
    if (pwrite(memory, now + i, (end - i) * 4, (off_t)(to + i * 4)) != (ssize_t)((end - i) * 4)) fail("the caller's memory cannot be written\n");
    i = end;
  }
}

static void close_windows(void) {
  for (uint32_t t = 0; t < count; t++) {
    uint64_t offset = touched[t].block * BLOCK;
    uint8_t *at = windows[touched[t].window].at + offset;
    if (touched[t].written) give_back((uint32_t *)at, (uint32_t *)(twins + t * BLOCK), windows[touched[t].window].from + offset);
  }
  for (uint32_t w = 0; w < INTS; w++) {
    if (windows[w].most >= windows[w].least && windows[w].from) {
      uint64_t first = windows[w].least, blocks = windows[w].most - first + 1;
      mmap(windows[w].at + first * BLOCK, blocks * BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
      memset(windows[w].block + first, 0, blocks * sizeof(uint32_t));
    }
    windows[w].from = 0;
  }
  count = 0;
}

static int64_t served(kernel function, call *c) {
  for (uint32_t i = 0; i < INTS; i++) {
    if (!(c->pointers >> i & 1)) continue;
    windows[i].from = (uint64_t)c->ints[i] & ~(BLOCK - 1);
    windows[i].least = BLOCKS, windows[i].most = 0;
    c->ints[i] = (int64_t)(windows[i].at + ((uint64_t)c->ints[i] & (BLOCK - 1)));
  }
  int64_t *n = c->ints;
  double *f = c->floats;
  int64_t result = function(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], n[14], n[15],
                            f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]);
  close_windows();
  return result;
}

static int take(void *to, size_t size) {
  for (size_t got = 0; got < size;) {
    ssize_t more = read(0, (uint8_t *)to + got, size - got);
    if (more <= 0) return 0;
    got += (size_t)more;
  }
  return 1;
}

int main(int arguments, char **argument) {
  if (arguments != 3) fail("usage: serve KERNELS.so MEMORY\n");
  void *kernels = dlopen(argument[1], RTLD_NOW);
  if (!kernels) fail(dlerror());
  if (sscanf(argument[2], "%d", &memory) != 1) fail("no memory\n");
  twins = mmap(NULL, TOUCHED * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  for (int w = 0; w < INTS; w++) {
    windows[w].at = mmap(NULL, BLOCK * BLOCKS, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (windows[w].at == MAP_FAILED || twins == MAP_FAILED) fail("no room for windows\n");
  }
  struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  call c;
  while (take(&c, sizeof c)) {
    c.name[sizeof c.name - 1] = 0;
    kernel function = (kernel)dlsym(kernels, c.name);
    if (!function) fail("no such kernel\n");
    if (!strcmp(c.name, "canonical_threads")) c.ints[0] = 1;
    int64_t result = served(function, &c);
    if (write(1, &result, sizeof result) != sizeof result) return 0;
  }
  return 0;
}
