/* Images to decode when none are given: made here, and then damaged. */
#include <stdlib.h>
#include <string.h>

#include "decoder.h"

enum { WIDTH = 64, HEIGHT = 48, PIXELS = WIDTH * HEIGHT * 3 };

/* Smooth colours. */
static void paint(unsigned char *pixels, size_t width, size_t height, size_t channels)
{
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < channels; c++) *pixels++ = (unsigned char)(x * (c + 1) + y * (4 - c));
}

static image_file new_file(const char *name, const void *data, size_t size)
{
    image_file file = {name, malloc(size), size};
    if (file.data == NULL) abort();
    memcpy(file.data, data, size);
    return file;
}

/* A header, and after it so many bytes of pixels as there are in a picture. */
static image_file make_pnm(const char *name, const char *header, size_t channels)
{
    unsigned char data[64 + PIXELS];
    size_t length = strlen(header);
    memcpy(data, header, length);
    paint(data + length, WIDTH, HEIGHT, channels);
    return new_file(name, data, length + WIDTH * HEIGHT * channels);
}

/* Its first `size` bytes. */
static image_file cut(const image_file *file, const char *name, size_t size)
{
    return new_file(name, file->data, size < file->size ? size : file->size);
}

size_t make_samples(image_file files[SAMPLES])
{
    static const char notes[] = "These are notes, and no image.";
    size_t count = 0;
    image_file *grey = &files[count++], *colour = &files[count++];
    *grey = make_pnm("grey.pgm", "P5\n64 48\n255\n", 1);
    *colour = make_pnm("colour.ppm", "P6\n# smooth\n64 48\n255\n", 3);
    files[count++] = cut(colour, "colour-cut.ppm", colour->size / 2);
    files[count++] = cut(colour, "colour-cut-in-header.ppm", 15);
    files[count++] = make_pnm("grey-too-large.pgm", "P5\n999999999 999999999\n255\n", 1);
#if DECODER_PNG
    unsigned char pixels[PIXELS];
    paint(pixels, WIDTH, HEIGHT, 3);
    image_file *png = &files[count++];
    *png = make_png("colour.png", WIDTH, HEIGHT, pixels);
    files[count++] = cut(png, "colour-cut.png", png->size / 2);
    files[count] = cut(png, "colour-mangled.png", png->size);
    files[count].data[png->size / 2] ^= 0x55;
    count++;
#endif
    files[count++] = new_file("notes.txt", notes, sizeof notes - 1);
    return count;
}
