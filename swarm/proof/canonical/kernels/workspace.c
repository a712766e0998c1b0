#include "workspace.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; // its destructor frees what a thread leaves behind
static _Thread_local void *held;
static _Thread_local size_t size;

static void make_key(void) { pthread_key_create(&key, free); }

static void *required(void *memory, size_t bytes) {
  if (memory == NULL) {
    fprintf(stderr, "out of memory: a canonical kernel needs %zu bytes\n", bytes);
    abort();
  }
  return memory;
}

void *reserved(size_t bytes) { return required(malloc(bytes > 0 ? bytes : 1), bytes); }

void *workspace(size_t bytes) {
  if (bytes <= size) return held;
  pthread_once(&once, make_key);
  free(held);
  size = (bytes + 4095) / 4096 * 4096;
  held = required(aligned_alloc(64, size), size);
  pthread_setspecific(key, held);
  return held;
}
