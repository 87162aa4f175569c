/* A decoder of images that no file can crash: each one is decoded by a worker of a pool.
 *
 *   decoder [FILE...]     PNM, and PNG where libpng is there; without files it makes some, whole ones and damaged ones
 *
 * Prints what each file is, or why it cannot be decoded. The decoder of PNM is a careless one: some files crash it and some keep it busy for
 * ever, and the others are decoded all the same. */
#include "decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 2000 };

/* ---- in a worker ---- */

static int decode(const spork_args *args, spork_task *task)
{
    spork_bytes file;
    if (spork_unpack(args, &file) != SPORK_OK) return 1;
    const unsigned char *data = file.data;
    if (file.size >= 2 && data[0] == 'P' && (data[1] == '5' || data[1] == '6')) return decode_pnm(file, task);
#if DECODER_PNG
    if (file.size >= 4 && memcmp(data, "\x89PNG", 4) == 0) return decode_png(file, task);
#endif
    return spork_fail(task, "it is no image of a known kind");
}

/* ---- in the program ---- */

static unsigned checksum(spork_bytes pixels)
{
    unsigned sum = 2166136261u;
    for (size_t i = 0; i < pixels.size; i++) sum = (sum ^ ((const unsigned char *)pixels.data)[i]) * 16777619u;
    return sum;
}

/* Hands it to a worker. NULL if there is nothing to hand over. */
static spork_future *begin(spork_pool *pool, image_file file)
{
    spork_future *future = NULL;
    spork_bytes bytes = spork_bytes_of(file.data, file.size);
    if (file.data != NULL) SPORK_MUST(spork_pool_apply_async(pool, decode, spork_pack(bytes), NULL, &future));
    return future;
}

static void show(const char *name, const spork_future *future)
{
    size_t width, height, channels;
    spork_bytes pixels;
    printf("%-26s ", name);
    if (future == NULL)
        puts("cannot be read");
    else if (spork_future_get(future, SPORK_FOREVER, &width, &height, &channels, &pixels) == SPORK_OK)
        printf("%zux%zu, channels: %zu, checksum: %08x\n", width, height, channels, checksum(pixels));
    else
        printf("%s: %s\n", spork_status_name(spork_future_status(future)), spork_future_error(future));
}

static image_file read_file(const char *path)
{
    enum { PIECE = 65536 };
    image_file read = {.name = path};
    size_t got = 1;
    FILE *file = fopen(path, "rb");
    while (file != NULL && got > 0) {
        unsigned char *more = realloc(read.data, read.size + PIECE);
        if (more == NULL) abort();
        read.data = more;
        got = fread(read.data + read.size, 1, PIECE, file);
        read.size += got;
    }
    if (file != NULL) fclose(file);
    return read;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_pool_options options = {.task_timeout_ms = PATIENCE_MS};
    spork_pool *pool = spork_pool_new_with(&options);
    size_t count = argc > 1 ? (size_t)(argc - 1) : SAMPLES;
    image_file *files = calloc(count, sizeof *files);
    spork_future **futures = calloc(count, sizeof *futures);
    if (files == NULL || futures == NULL) return 1;
    if (argc <= 1) count = make_samples(files);

    for (size_t i = 0; i < count; i++) {
        if (argc > 1) files[i] = read_file(argv[i + 1]);
        futures[i] = begin(pool, files[i]);
        free(files[i].data); /* the task has a copy */
    }
    for (size_t i = 0; i < count; i++) {
        show(files[i].name, futures[i]);
        spork_future_free(futures[i]);
    }

    SPORK_MUST(spork_pool_close(pool));
    SPORK_MUST(spork_pool_join(pool, SPORK_FOREVER));
    spork_pool_free(pool);
    free(futures);
    free(files);
    return 0;
}
