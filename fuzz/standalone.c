/* Runs a fuzz target without libFuzzer:
 *
 *     fuzz_value_random FILE...                        each file once, to see again what libFuzzer found
 *     fuzz_value_random --random N [SEED [FILE...]]    N pseudo-random inputs; every second one a damaged FILE
 *
 * SPORK_TEST_SECONDS ends it sooner, unless SPORK_TEST_FULL is above 0.
 * SEED 0 (or none) takes one from the clock. It is printed: with it the same inputs come
 * again. Input number i depends on SEED + i alone, so `--random 1 SEED+i` repeats a single one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_RANDOM = 4096, MAX_FILE = 1 << 20 };

static uint64_t state;

/* splitmix64: a good sequence from any seed, also from neighbouring ones. */
static uint64_t next(void)
{
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Below `limit`, small numbers more often: most mistakes show in short inputs. */
static size_t small(size_t limit) { return (size_t)(next() % (1 + next() % limit)); }

/* A byte that decoders care about: lengths and counts are small, and limits are at the ends. */
static uint8_t byte(void)
{
    static const uint8_t ends[] = {0, 1, 0x7F, 0x80, 0xFE, 0xFF};
    switch (next() % 4) {
    case 0: return ends[next() % sizeof ends];
    case 1: return (uint8_t)(next() % 32);
    default: return (uint8_t)next();
    }
}

/* Exactly `size` bytes on the heap, so that a sanitizer sees the first one read behind them. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) exit(70);
    if (size > 0) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t read_file(const char *path, uint8_t *buffer)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(66);
    }
    size_t size = fread(buffer, 1, MAX_FILE, file);
    fclose(file);
    return size;
}

static void run_random(uint8_t *buffer, char **files, size_t file_count)
{
    size_t size;
    if (file_count > 0 && next() % 2 == 0) {
        size = read_file(files[next() % file_count], buffer);
        for (size_t changes = 1 + small(8); size > 0 && changes > 0; changes--) buffer[next() % size] = byte();
        if (size > 0 && next() % 4 == 0) size = (size_t)(next() % size);
    } else {
        size = small(MAX_RANDOM);
        for (size_t i = 0; i < size; i++) buffer[i] = byte();
    }
    run(buffer, size);
}

int main(int argc, char **argv)
{
    uint8_t *buffer = malloc(MAX_FILE);
    if (buffer == NULL) return 70;
    if (argc >= 3 && strcmp(argv[1], "--random") == 0) {
        const char *full = getenv("SPORK_TEST_FULL"), *limit = getenv("SPORK_TEST_SECONDS");
        if (full != NULL && strtod(full, NULL) > 0) limit = NULL;
        const time_t end = time(NULL) + (limit != NULL ? strtol(limit, NULL, 10) : 365L * 24 * 60 * 60);
        uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 0, count = strtoull(argv[2], NULL, 10), done = 0;
        if (seed == 0) seed = (uint64_t)time(NULL) << 24 ^ (uint64_t)clock();
        printf("%llu inputs, seed %llu\n", (unsigned long long)count, (unsigned long long)seed);
        fflush(stdout);
        for (; done < count && (done < 10 || time(NULL) < end); done++) {
            state = seed + done;
            run_random(buffer, argv + 4, argc > 4 ? (size_t)argc - 4 : 0);
        }
        printf("came to %llu\n", (unsigned long long)done);
    } else {
        for (int i = 1; i < argc; i++) {
            printf("%s\n", argv[i]);
            fflush(stdout);
            run(buffer, read_file(argv[i], buffer));
        }
    }
    free(buffer);
    return 0;
}
