// A client of Redis that fetches values with MGET and writes them with SET, as many requests on their way as it is told:
// the yardstick of the suite `net`. Keys are 8 bytes, as bench/subjects/keys.ts makes them; every key has a value.
//
//   redis PORT ROWS VALUE_BYTES
//
// Reads lines "pull MS DEPTH" (DEPTH requests of 128 keys each on their way) and "push MS DEPTH" (DEPTH requests of one key).
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MGET_KEYS = 128, DRAWN = 1 << 20 };

static redisContext *redis;
static uint64_t rows;
static size_t valueBytes;
static uint64_t *drawn;
static size_t next;

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

static uint64_t keyOf(uint32_t row) { return mix(row) | (uint64_t)mix(~row) << 32; }

static uint64_t seed = 88172645463325252ull;

static uint64_t draw(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, redis->err ? redis->errstr : "an answer was not what was expected");
  exit(1);
}

static const uint64_t *take(size_t keys) {
  if (next + keys > DRAWN) next = 0;
  next += keys;
  return drawn + next - keys;
}

static void askMget(void) {
  const char *words[1 + MGET_KEYS] = {"MGET"};
  size_t lengths[1 + MGET_KEYS] = {4};
  const uint64_t *keys = take(MGET_KEYS);
  for (int i = 0; i < MGET_KEYS; i++) {
    words[1 + i] = (const char *)&keys[i];
    lengths[1 + i] = 8;
  }
  if (redisAppendCommandArgv(redis, 1 + MGET_KEYS, words, lengths) != REDIS_OK) fail("MGET");
}

static void askSet(const uint64_t *key, const char *value) {
  const char *words[3] = {"SET", (const char *)key, value};
  const size_t lengths[3] = {3, 8, valueBytes};
  if (redisAppendCommandArgv(redis, 3, words, lengths) != REDIS_OK) fail("SET");
}

static void takeReply(int pulling, float *into) {
  redisReply *reply;
  if (redisGetReply(redis, (void **)&reply) != REDIS_OK) fail("reply");
  if (pulling) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != MGET_KEYS) fail("MGET");
    for (int i = 0; i < MGET_KEYS; i++) {
      const redisReply *value = reply->element[i];
      if (value->type != REDIS_REPLY_STRING || value->len != valueBytes) fail("MGET");
      memcpy((char *)into + (size_t)i * valueBytes, value->str, valueBytes);
    }
  } else if (reply->type != REDIS_REPLY_STATUS) fail("SET");
  freeReplyObject(reply);
}

static void fill(const char *value) {
  const uint32_t depth = 512;
  uint64_t keys[512];
  for (uint64_t from = 0; from < rows; from += depth) {
    const uint32_t n = rows - from < depth ? (uint32_t)(rows - from) : depth;
    for (uint32_t i = 0; i < n; i++) {
      keys[i] = keyOf((uint32_t)(from + i));
      askSet(&keys[i], value);
    }
    for (uint32_t i = 0; i < n; i++) takeReply(0, NULL);
  }
}

// Windows of `depth` requests: all of one are written, then their answers are read. redisGetReply writes what waits.
static void visit(int pulling, double ms, int depth, float *into, const char *value) {
  const uint64_t start = nanoseconds();
  uint64_t visited = 0, spent = 0;
  for (int i = 0; i < depth; i++) pulling ? askMget() : askSet(take(1), value);
  while (spent < ms * 1e6) {
    // Half of the window is answered and asked anew, so that the server is never idle.
    const int half = depth > 1 ? depth / 2 : 1;
    for (int i = 0; i < half; i++) takeReply(pulling, into);
    for (int i = 0; i < half; i++) pulling ? askMget() : askSet(take(1), value);
    int done = 0;
    if (redisBufferWrite(redis, &done) != REDIS_OK) fail("write");
    visited += (uint64_t)half * (pulling ? MGET_KEYS : 1);
    spent = nanoseconds() - start;
  }
  for (int i = 0; i < depth; i++) takeReply(pulling, into);
  visited += (uint64_t)depth * (pulling ? MGET_KEYS : 1);
  spent = nanoseconds() - start;
  printf("{\"rows\": %llu, \"ns\": %llu}\n", (unsigned long long)visited, (unsigned long long)spent);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: redis PORT ROWS VALUE_BYTES\n");
    return 2;
  }
  rows = strtoull(argv[2], NULL, 10);
  valueBytes = strtoull(argv[3], NULL, 10);
  // The server may be starting.
  for (int tries = 0; tries < 100; tries++) {
    redis = redisConnect("127.0.0.1", atoi(argv[1]));
    if (redis && !redis->err) break;
    if (redis && tries < 99) redisFree(redis);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
  }
  if (!redis || redis->err) fail("connect");
  char *value = calloc(1, valueBytes);
  float *into = malloc(MGET_KEYS * valueBytes);
  drawn = malloc(DRAWN * sizeof(uint64_t));
  for (size_t i = 0; i < DRAWN; i++) drawn[i] = keyOf((uint32_t)(draw() % rows));
  fill(value);
  redisReply *info = redisCommand(redis, "INFO server");
  if (!info || info->type != REDIS_REPLY_STRING) fail("INFO");
  char version[32] = "unknown";
  const char *at = strstr(info->str, "redis_version:");
  if (at) sscanf(at, "redis_version:%31[0-9.]", version);
  freeReplyObject(info);
  printf("{\"ready\": true, \"version\": \"%s\"}\n", version);
  fflush(stdout);

  char operation[16];
  double ms;
  int depth;
  while (scanf("%15s %lf %d", operation, &ms, &depth) == 3)
    visit(strcmp(operation, "pull") == 0, ms, depth, into, value);
  redisFree(redis);
  return 0;
}
