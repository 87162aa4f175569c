/* Shared memory: four processes fill their parts of one array, which the parent then reads. Nothing is copied. */
#include <spork/spork.h>
#include <stdio.h>

enum { WORKERS = 4, COUNT = 1000000 };

static int fill(const spork_args *args)
{
    spork_shm *memory;
    size_t from, to;
    if (spork_unpack(args, &memory, &from, &to) != SPORK_OK) return 1;
    long long *squares = spork_shm_data(memory);
    for (size_t i = from; i < to; i++) squares[i] = (long long)i * (long long)i;
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_shm *memory = spork_shm_new(COUNT * sizeof(long long));
    spork_process *workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = spork_process_new(fill, spork_pack(memory, COUNT / WORKERS * i, COUNT / WORKERS * (i + 1)));
        SPORK_MUST(spork_process_start(workers[i]));
    }
    for (size_t i = 0; i < WORKERS; i++) {
        SPORK_MUST(spork_process_join(workers[i], SPORK_FOREVER));
        spork_process_free(workers[i]);
    }
    const long long *squares = spork_shm_data(memory);
    long long sum = 0;
    for (size_t i = 0; i < COUNT; i++) sum += squares[i];
    printf("The squares of 0 to %d sum up to %lld.\n", COUNT - 1, sum);
    printf("The last one is %lld.\n", squares[COUNT - 1]);
    spork_shm_free(memory);
    return 0;
}
