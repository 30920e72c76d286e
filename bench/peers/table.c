// The machine's limit: a fixed-size embedding table in C, written for speed alone. It hashes keys as Embershard does
// (XXH64 of the key's 8 bytes), probes an open-addressing index of 4-byte entries and keeps the same record: key,
// frequency, last step, weights, Adagrad state. It does not validate, grow, log, mark pages or sum the gradients of
// equal keys: each occurrence is applied in order (in a uniform batch of 16,384 over 4 M rows 0.2 % are repeats).
//
//   table ROWS DIM BATCH huge|plain SEED
//
// reads lines `pull|push uniform|zipf MILLISECONDS` and answers each with {"rows": R, "ns": N, "longestNs": L}, L of one batch. Keys and
// gradients are made outside of the time that is counted.
#define _GNU_SOURCE
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

// A row's number in the low `rowBits` bits, bits of the key's hash above: as small as possible, so that the index and what
// it takes to translate its addresses stay in the caches. The number of all ones stands for an empty entry.
typedef uint32_t Entry;
typedef struct { uint64_t key; uint32_t frequency, lastStep; float values[]; } Record;

// How many rows ahead an index line and a record are asked for.
enum { INDEX_AHEAD = 40, RECORD_AHEAD = 20, RING = 64, CHUNK_BATCHES = 16, LINE = 64, LINE_ENTRIES = 16 };
// Which lines of a record are prefetched: where the processor's own prefetchers follow the first one, asking for all is
// slower, elsewhere faster. Both are compiled and the faster is chosen at the start, for pull and push apart.
enum { FIRST_LINE, ALL_LINES };
static const uint32_t EMPTY = 0xffffffffu;
static const float LEARNING_RATE = 0.05f, EPS = 1e-10f;

static uint64_t rows, batch, seed, mask, stride;
static uint32_t dim, currentStep, rowBits, rowMask;
static Entry *entries;
static uint8_t *records;
static uint64_t *hashes;

static uint64_t rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

static inline uint64_t hashKey(uint64_t key) {
  const uint64_t p1 = 0x9E3779B185EBCA87u, p2 = 0xC2B2AE3D27D4EB4Fu, p3 = 0x165667B19E3779F9u;
  const uint64_t p4 = 0x85EBCA77C2B2AE63u, p5 = 0x27D4EB2F165667C5u;
  uint64_t h = (seed + p5 + 8) ^ (rotate(key * p2, 31) * p1);
  h = rotate(h, 27) * p1 + p4;
  h = (h ^ (h >> 33)) * p2;
  h = (h ^ (h >> 29)) * p3;
  return h ^ (h >> 32);
}

static inline Record *recordAt(uint32_t row) { return (Record *)(records + (uint64_t)row * stride); }

static inline uint64_t lineOf(uint64_t hash) { return hash & mask & ~(uint64_t)(LINE_ENTRIES - 1); }

static inline uint32_t tagOf(uint64_t hash) { return (uint32_t)(hash >> 32) >> rowBits; }

// A line of entries is compared at once: a loop over single entries ends unpredictably.
static inline uint32_t find(uint64_t hash) {
  const uint32_t tag = tagOf(hash);
  for (uint64_t line = lineOf(hash);; line = (line + LINE_ENTRIES) & mask) {
    const Entry *entry = entries + line;
#ifdef __AVX512F__
    const __m512i all = _mm512_load_si512(entry), tags = _mm512_srl_epi32(all, _mm_cvtsi32_si128((int)rowBits));
    const __mmask16 used = _mm512_cmpneq_epi32_mask(all, _mm512_set1_epi32(-1));
    const __mmask16 equal = _mm512_mask_cmpeq_epi32_mask(used, tags, _mm512_set1_epi32((int)tag));
    if (__builtin_expect(equal != 0, 1)) return entry[__builtin_ctz(equal)] & rowMask;
#else
    uint32_t row = EMPTY;
    for (int j = 0; j < LINE_ENTRIES; j++) {
      const uint32_t found = entry[j] >> rowBits == tag && entry[j] != EMPTY ? entry[j] & rowMask : EMPTY;
      row = found < row ? found : row;
    }
    if (__builtin_expect(row != EMPTY, 1)) return row;
#endif
    if (entry[LINE_ENTRIES - 1] == EMPTY) return EMPTY;
  }
}

// The index compares a few bits of the hash, so the key decides; keys of equal tag are looked for further on.
static uint32_t findExactly(uint64_t key, uint64_t hash) {
  for (uint64_t at = lineOf(hash); entries[at] != EMPTY; at = (at + 1) & mask)
    if (entries[at] >> rowBits == tagOf(hash) && recordAt(entries[at] & rowMask)->key == key)
      return entries[at] & rowMask;
  fprintf(stderr, "key %llu is not in the table\n", (unsigned long long)key);
  exit(1);
}

#define INLINE static inline __attribute__((always_inline))

INLINE void prefetchRecord(uint32_t row, uint64_t bytes, int lines) {
  if (row == EMPTY) return;
  const char *from = (const char *)recordAt(row);
  _mm_prefetch(from, _MM_HINT_T1);
  if (lines == ALL_LINES)
    for (uint64_t at = LINE; at < bytes + LINE - 1; at += LINE) _mm_prefetch(from + at, _MM_HINT_T1);
}

INLINE void copyRow(float *restrict out, const float *restrict row, uint32_t n) {
  for (uint32_t j = 0; j < n; j++) out[j] = row[j];
}

INLINE void adagrad(float *restrict w, float *restrict s, const float *restrict g, uint32_t n) {
  for (uint32_t j = 0; j < n; j++) {
    s[j] += g[j] * g[j];
    w[j] -= LEARNING_RATE * g[j] / (sqrtf(s[j]) + EPS);
  }
}

INLINE void visit(const uint64_t *keys, float *out, const float *gradients, uint32_t n, int lines) {
  static uint32_t found[RING];
  const uint64_t touched = 16 + 4 * (uint64_t)n * (gradients ? 2 : 1);
  for (uint64_t i = 0; i < batch; i++) hashes[i] = hashKey(keys[i]);
  for (uint64_t i = 0; i < batch + INDEX_AHEAD; i++) {
    if (i < batch) _mm_prefetch((const char *)&entries[lineOf(hashes[i])], _MM_HINT_T0);
    const uint64_t next = i - (INDEX_AHEAD - RECORD_AHEAD), now = i - INDEX_AHEAD;
    if (next < batch) {
      const uint32_t row = find(hashes[next]);
      found[next % RING] = row;
      prefetchRecord(row, touched, lines);
    }
    if (now >= batch) continue;
    uint32_t row = found[now % RING];
    if (row == EMPTY || recordAt(row)->key != keys[now]) row = findExactly(keys[now], hashes[now]);
    Record *record = recordAt(row);
    if (gradients) {
      record->frequency++;
      record->lastStep = currentStep;
      adagrad(record->values, record->values + n, gradients + now * n, n);
    } else {
      copyRow(out + now * n, record->values, n);
    }
  }
}

static int pullLines = FIRST_LINE, pushLines = FIRST_LINE;

// Compiled once for each dimension that is measured, so that its loops have constant lengths.
#define VISIT(keys, out, gradients, lines)                                     \
  do {                                                                         \
    if (dim == 64 && lines == FIRST_LINE) visit(keys, out, gradients, 64, FIRST_LINE); \
    else if (dim == 64) visit(keys, out, gradients, 64, ALL_LINES);            \
    else if (dim == 16 && lines == FIRST_LINE) visit(keys, out, gradients, 16, FIRST_LINE); \
    else if (dim == 16) visit(keys, out, gradients, 16, ALL_LINES);            \
    else visit(keys, out, gradients, dim, lines);                              \
  } while (0)

static void pull(const uint64_t *keys, float *out) { VISIT(keys, out, NULL, pullLines); }

static void push(const uint64_t *keys, const float *gradients) {
  currentStep++;
  VISIT(keys, NULL, gradients, pushLines);
}

// ---- keys: the same as in bench/subjects/keys.ts ----

static uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

static uint64_t keyOf(uint64_t row) { return (uint64_t)mix(~(uint32_t)row) << 32 | mix((uint32_t)row); }

static uint64_t randomState = 0x9e3779b97f4a7c15u;
static double unit(void) {
  randomState ^= randomState << 13;
  randomState ^= randomState >> 7;
  randomState ^= randomState << 17;
  return (double)(randomState >> 11) / 9007199254740992.0;
}

// Rejection-inversion (Hoermann and Derflinger, 1996): a rank in [1, rows] with probability ~ rank^-1.05.
static const double EXPONENT = 1.05;
static double zipfIntegral(double x) { return (pow(x, 1 - EXPONENT) - 1) / (1 - EXPONENT); }
static double zipfInverse(double x) { return pow(1 + x * (1 - EXPONENT), 1 / (1 - EXPONENT)); }
static uint64_t zipfRank(void) {
  const double low = zipfIntegral(1.5) - 1, high = zipfIntegral(rows + 0.5);
  for (;;) {
    const double u = high + unit() * (low - high);
    const double x = zipfInverse(u);
    double rank = floor(x + 0.5);
    if (rank < 1) rank = 1;
    if (rank > rows) rank = rows;
    if (u >= zipfIntegral(rank + 0.5) - pow(rank, -EXPONENT)) return (uint64_t)rank;
  }
}

static void drawKeys(uint64_t *keys, uint64_t n, int zipf) {
  for (uint64_t i = 0; i < n; i++)
    // The multiplier scatters the frequent rows over the table, as ids of real features are.
    keys[i] = keyOf(zipf ? (zipfRank() - 1) * 1000003 % rows : (uint64_t)(unit() * rows));
}

// ---- set-up and rounds ----

static void *reserve(uint64_t bytes, int huge) {
  const uint64_t align = 2 << 20;
  char *at = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) { perror("mmap"); exit(1); }
  at = (char *)(((uintptr_t)at + align - 1) & ~(align - 1));
  madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return at;
}

static void fill(void) {
  memset(entries, 0xff, (mask + 1) * sizeof(Entry));
  for (uint64_t row = 0; row < rows; row++) {
    Record *record = recordAt(row);
    record->key = keyOf(row);
    record->frequency = 1u << 31;
    for (uint32_t j = 0; j < dim; j++) record->values[j] = (float)(row % 1000) * 1e-5f;
    const uint64_t hash = hashKey(record->key);
    uint64_t at = lineOf(hash);
    while (entries[at] != EMPTY) at = (at + 1) & mask;
    entries[at] = tagOf(hash) << rowBits | (uint32_t)row;
  }
}

// One pull, one push and a second pull must give what the formula says, or nothing is measured.
static void check(uint64_t *keys, float *out, float *gradients) {
  for (uint64_t i = 0; i < batch; i++) keys[i] = keyOf(i % rows);
  pull(keys, out);
  for (uint64_t i = 0; i < batch; i++)
    if (out[i * dim + dim - 1] != (float)(i % rows % 1000) * 1e-5f) { fprintf(stderr, "a pull is wrong\n"); exit(1); }
  push(keys, gradients);
  pull(keys, out);
  const float g = gradients[0], expected = 0.0f - LEARNING_RATE * g / (sqrtf(g * g) + EPS);
  if (batch <= rows && fabsf(out[0] - expected) > 1e-6f) { fprintf(stderr, "a push is wrong\n"); exit(1); }
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}

static uint64_t longest;

// Nanoseconds for one chunk of batches with new keys; `longest` rises to those of its longest batch.
static uint64_t timeChunk(int pulling, uint64_t *keys, float *out, const float *gradients, int zipf) {
  drawKeys(keys, CHUNK_BATCHES * batch, zipf);
  const uint64_t start = nanoseconds();
  uint64_t last = start;
  for (uint64_t b = 0; b < CHUNK_BATCHES; b++) {
    if (pulling) pull(keys + b * batch, out);
    else push(keys + b * batch, gradients);
    const uint64_t now = nanoseconds();
    if (now - last > longest) longest = now - last;
    last = now;
  }
  return last - start;
}

// The best of three chunks for each way of prefetching, in turn.
static void choosePrefetch(uint64_t *keys, float *out, const float *gradients) {
  uint64_t best[2][2] = {{UINT64_MAX, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
  for (int i = 0; i < 8; i++) {
    const int lines = pullLines = pushLines = i & 1;
    for (int pulling = 0; pulling < 2; pulling++) {
      const uint64_t ns = timeChunk(pulling, keys, out, gradients, 0);
      if (i > 1 && ns < best[pulling][lines]) best[pulling][lines] = ns;
    }
  }
  pushLines = best[0][ALL_LINES] < best[0][FIRST_LINE] ? ALL_LINES : FIRST_LINE;
  pullLines = best[1][ALL_LINES] < best[1][FIRST_LINE] ? ALL_LINES : FIRST_LINE;
}

int main(int argc, char **argv) {
  if (argc != 6) { fprintf(stderr, "usage: table ROWS DIM BATCH huge|plain SEED\n"); return 2; }
  rows = strtoull(argv[1], NULL, 10);
  dim = (uint32_t)atoi(argv[2]);
  batch = strtoull(argv[3], NULL, 10);
  const int huge = strcmp(argv[4], "huge") == 0;
  seed = strtoull(argv[5], NULL, 10);
  while ((1ull << rowBits) <= rows) rowBits++;
  rowMask = (1u << rowBits) - 1;
  uint64_t capacity = 1;
  while (capacity < 2 * rows || capacity < LINE_ENTRIES) capacity *= 2;
  mask = capacity - 1;
  stride = (16 + 8 * (uint64_t)dim + 7) & ~7ull;
  entries = reserve(capacity * sizeof(Entry), huge);
  records = reserve(rows * stride + 4096, huge);
  hashes = reserve(batch * 8, huge);
  uint64_t *keys = reserve(CHUNK_BATCHES * batch * 8, huge);
  float *out = reserve(batch * dim * 4, huge), *gradients = reserve(batch * dim * 4, huge);
  for (uint64_t i = 0; i < batch * dim; i++) gradients[i] = (float)(unit() - 0.5) * 0.02f;
  fill();
  check(keys, out, gradients);
  choosePrefetch(keys, out, gradients);
  printf("{\"ready\": true, \"compiler\": \"%s\"}\n", __VERSION__);
  fflush(stdout);

  char operation[16], distribution[16];
  double limitMs;
  while (scanf("%15s %15s %lf", operation, distribution, &limitMs) == 3) {
    const int pulling = strcmp(operation, "pull") == 0, zipf = strcmp(distribution, "zipf") == 0;
    uint64_t spent = 0, visited = 0;
    longest = 0;
    while (spent < limitMs * 1e6) {
      spent += timeChunk(pulling, keys, out, gradients, zipf);
      visited += CHUNK_BATCHES * batch;
    }
    printf("{\"rows\": %llu, \"ns\": %llu, \"longestNs\": %llu}\n", (unsigned long long)visited,
           (unsigned long long)spent, (unsigned long long)longest);
    fflush(stdout);
  }
  return 0;
}
