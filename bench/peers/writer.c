// What the machine itself makes a program wait that does on the disk what a store does during a checkpoint, and no more: one
// thread changes 16,384 random rows of a table in memory and writes 1.25 MiB over a file, over and over; a second makes that
// file durable whenever 32 MiB were written; a third writes files of 8 MiB, each half made durable. Compiled and run by the
// bench.
//
//   writer DIRECTORY TABLE_BYTES
//
// reads lines `write MILLISECONDS` and answers each with {"rounds": N, "usualNs": M, "longestNs": L}: of changing rows and
// writing, once.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 16384, ROW_BYTES = 144, RECORD = 5 << 18, LOG = 256 << 20, SYNC_EVERY = 32 << 20, HALF = 4 << 20, MOST = 1 << 16 };

static char path[4096];
static int logFile;
static char *table, *record, *half;
static uint64_t tableRows;
static volatile int running, syncs;
static uint64_t spent[MOST];

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(int good, const char *what) {
  if (good) return;
  perror(what);
  exit(1);
}

static int openFile(const char *name, int flags) {
  char full[4200];
  snprintf(full, sizeof full, "%s/%s", path, name);
  const int file = open(full, flags | O_CREAT, 0600);
  must(file >= 0, full);
  return file;
}

static void *syncLog(void *unused) {
  for (int done = 0; running;) {
    if (done == syncs) {
      usleep(500);
      continue;
    }
    done = syncs;
    must(fdatasync(logFile) == 0, "fdatasync");
  }
  return unused;
}

static void *writePages(void *unused) {
  char name[32];
  for (int number = 0; running; number++) {
    // The space of the oldest is given back, as by a compaction: 64 files are half a GiB.
    snprintf(name, sizeof name, "pages-%d", number % 64);
    const int file = openFile(name, O_WRONLY | O_TRUNC);
    for (int i = 0; i < 2 && running; i++) {
      must(write(file, half, HALF) == HALF, "write");
      must(fdatasync(file) == 0, "fdatasync");
    }
    close(file);
  }
  return unused;
}

static uint64_t state = 88172645463325252u;

static void changeRows(void) {
  for (int i = 0; i < ROWS; i++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    char *row = table + state % tableRows * ROW_BYTES;
    for (int at = 0; at < ROW_BYTES; at += 16) row[at]++;
  }
}

static int ascending(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void measure(uint64_t limit) {
  pthread_t threads[2];
  static off_t at = 0;
  off_t unsynced = 0;
  running = 1;
  must(pthread_create(&threads[0], NULL, syncLog, NULL) == 0, "thread");
  must(pthread_create(&threads[1], NULL, writePages, NULL) == 0, "thread");
  const uint64_t begin = now();
  int rounds = 0;
  for (uint64_t last = begin; last - begin < limit && rounds < MOST; rounds++) {
    changeRows();
    if (at + RECORD > LOG) at = 0;
    must(pwrite(logFile, record, RECORD, at) == RECORD, "write");
    at += RECORD, unsynced += RECORD;
    if (unsynced >= SYNC_EVERY) unsynced = 0, syncs++;
    const uint64_t end = now();
    spent[rounds] = end - last;
    last = end;
  }
  running = 0;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  qsort(spent, rounds, sizeof *spent, ascending);
  printf("{\"rounds\": %d, \"usualNs\": %llu, \"longestNs\": %llu}\n", rounds, (unsigned long long)spent[rounds / 2],
         (unsigned long long)spent[rounds - 1]);
  fflush(stdout);
}

int main(int count, char **words) {
  must(count == 3, "usage: writer DIRECTORY TABLE_BYTES");
  snprintf(path, sizeof path, "%s", words[1]);
  tableRows = strtoull(words[2], NULL, 10) / ROW_BYTES;
  table = malloc(tableRows * ROW_BYTES), record = malloc(RECORD), half = malloc(HALF);
  must(table && record && half, "memory");
  memset(table, 1, tableRows * ROW_BYTES), memset(record, 2, RECORD), memset(half, 3, HALF);
  logFile = openFile("log", O_RDWR);
  // Written over from now on, as the log's files are.
  for (off_t at = 0; at < LOG; at += RECORD) must(pwrite(logFile, record, RECORD, at) == RECORD, "write");
  must(fsync(logFile) == 0, "fsync");
  printf("{\"ready\": true}\n");
  fflush(stdout);
  char line[128];
  unsigned long long ms;
  while (fgets(line, sizeof line, stdin))
    if (sscanf(line, "write %llu", &ms) == 1) measure(ms * 1000000u);
  return 0;
}
