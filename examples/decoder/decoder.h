/* What the files of this example have in common. */
#ifndef DECODER_H
#define DECODER_H

#include <spork/spork.h>

/* ---- in a worker ---- */

/* Decodes a file and returns width, height and channels (each a size_t), and the pixels (spork_bytes), row by row from the top. What
 * they return is the task's. */
int decode_pnm(spork_bytes file, spork_task *task);
int decode_png(spork_bytes file, spork_task *task); /* only with libpng */

/* ---- in the program ---- */

typedef struct image_file {
    const char *name;
    unsigned char *data; /* NULL: it could not be read */
    size_t size;
} image_file;

enum { SAMPLES = 9 };
/* Makes a few files, whole ones and damaged ones. Returns how many, SAMPLES at most; they are freed by free(data). */
size_t make_samples(image_file files[SAMPLES]);
/* A picture of smooth colours as PNG; only with libpng. */
image_file make_png(const char *name, unsigned width, unsigned height, const unsigned char *rgb);

#endif
