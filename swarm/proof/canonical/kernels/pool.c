// The pool: workers sleep on a condition until a job's number changes, then take parts of it by one counter, as the caller does too.
#include "pool.h"
#include <pthread.h>
#include <stdatomic.h>
#include "vector.h"

#define MOST_THREADS 256
#define PARTS_PER_THREAD 4 // so that a slow core does not hold up the others

static struct {
  pthread_mutex_t entry, lock;
  pthread_cond_t wake, done;
  int64_t threads, workers; // wanted, the caller's included; started
  uint64_t number;          // of the job
  int64_t wanted, pending;  // workers that take part in it; that have not finished
  int64_t n, part;
  _Atomic int64_t next;
  pool_work work;
  void *context;
} pool = {.entry = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER, .threads = 1};

// ---- the processor's rounding: to nearest, subnormals kept, whatever the program around us has set

#if defined(__SSE2__)
typedef uint32_t rounding;
static rounding rounding_enter(void) {
  rounding before = _mm_getcsr();
  if (before & 0xe040) _mm_setcsr(before & ~0xe040u); // flush to zero, rounding direction, subnormals are zero
  return before;
}
static void rounding_leave(rounding before) {
  if (before & 0xe040) _mm_setcsr(before);
}
#elif defined(__aarch64__)
typedef uint64_t rounding;
static rounding rounding_enter(void) {
  rounding before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  if (before & 0x3c00000) __asm__ volatile("msr fpcr, %0" : : "r"(before & ~(rounding)0x3c00000)); // direction, flush to zero, default NaN
  return before;
}
static void rounding_leave(rounding before) {
  if (before & 0x3c00000) __asm__ volatile("msr fpcr, %0" : : "r"(before));
}
#else
typedef int rounding;
static rounding rounding_enter(void) { return 0; }
static void rounding_leave(rounding before) { (void)before; }
#endif

// ---- jobs

static void drain(void) {
  rounding before = rounding_enter();
  for (;;) {
    int64_t from = atomic_fetch_add(&pool.next, pool.part);
    if (from >= pool.n) break;
    pool.work(pool.context, from, from + pool.part < pool.n ? from + pool.part : pool.n);
  }
  rounding_leave(before);
}

static void *worker(void *place) {
  uint64_t seen = 0;
  pthread_mutex_lock(&pool.lock);
  for (;;) {
    while (pool.number == seen || (int64_t)(intptr_t)place >= pool.wanted) {
      seen = pool.number;
      pthread_cond_wait(&pool.wake, &pool.lock);
    }
    seen = pool.number;
    pthread_mutex_unlock(&pool.lock);
    drain();
    pthread_mutex_lock(&pool.lock);
    if (--pool.pending == 0) pthread_cond_signal(&pool.done);
  }
  return NULL;
}

// In a child of fork only the calling thread lives on: its pool starts anew.
static void forget(void) {
  pool.workers = 0;
  pool.number = 0;
  pthread_mutex_init(&pool.entry, NULL);
  pthread_mutex_init(&pool.lock, NULL);
  pthread_cond_init(&pool.wake, NULL);
  pthread_cond_init(&pool.done, NULL);
}

static void start_workers(int64_t count) {
  static int prepared;
  if (!prepared) prepared = pthread_atfork(NULL, NULL, forget) == 0;
  for (; pool.workers < count; pool.workers++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)pool.workers) != 0) return; // fewer then: the bits are the same
    pthread_detach(thread);
  }
}

static void run_here(int64_t n, pool_work work, void *context) {
  rounding before = rounding_enter();
  work(context, 0, n);
  rounding_leave(before);
}

static void run_shared(int64_t n, int64_t grain, pool_work work, void *context) {
  int64_t grains = (n + grain - 1) / grain, parts = pool.threads * PARTS_PER_THREAD;
  start_workers(pool.threads - 1);
  pthread_mutex_lock(&pool.lock);
  pool.n = n;
  pool.part = grain * ((grains + parts - 1) / parts);
  pool.work = work;
  pool.context = context;
  atomic_store(&pool.next, 0);
  pool.wanted = pool.threads - 1 < grains - 1 ? pool.threads - 1 : grains - 1;
  if (pool.wanted > pool.workers) pool.wanted = pool.workers;
  pool.pending = pool.wanted;
  pool.number++;
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.lock);
  drain();
  pthread_mutex_lock(&pool.lock);
  while (pool.pending > 0) pthread_cond_wait(&pool.done, &pool.lock);
  pool.wanted = 0;
  pthread_mutex_unlock(&pool.lock);
}

void pool_run(int64_t n, int64_t grain, pool_work work, void *context) {
  if (n <= 0) return;
  if (pool.threads <= 1 || n <= grain || pthread_mutex_trylock(&pool.entry) != 0) { // taken by another thread, or from within work
    run_here(n, work, context);
    return;
  }
  run_shared(n, grain, work, context);
  pthread_mutex_unlock(&pool.entry);
}

void canonical_threads(int64_t count) { pool.threads = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count; }

int64_t pool_threads(void) { return pool.threads; }
