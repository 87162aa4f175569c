/* PNG by libpng, which is careful: what is damaged has a reason. */
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "decoder.h"

int decode_png(spork_bytes file, spork_task *task)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image, file.data, file.size)) return spork_fail(task, "%s", image.message);
    image.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA; /* no palette, 8 bits */

    size_t width = image.width, height = image.height, channels = PNG_IMAGE_PIXEL_CHANNELS(image.format);
    size_t size = width * height * channels;
    unsigned char *pixels = spork_task_alloc(task, size);
    if (pixels == NULL) {
        png_image_free(&image);
        return 1; /* Spork's own sentence tells why */
    }
    if (!png_image_finish_read(&image, NULL, pixels, 0, NULL)) return spork_fail(task, "%s", image.message);
    return spork_return(task, width, height, channels, spork_bytes_of(pixels, size));
}

image_file make_png(const char *name, unsigned width, unsigned height, const unsigned char *rgb)
{
    image_file file = {.name = name};
    png_image image;
    png_alloc_size_t size = 0;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = height;
    image.format = PNG_FORMAT_RGB;
    if (!png_image_write_to_memory(&image, NULL, &size, 0, rgb, 0, NULL)) return file; /* how much it will be */
    file.data = malloc(size);
    if (file.data != NULL && png_image_write_to_memory(&image, file.data, &size, 0, rgb, 0, NULL)) file.size = size;
    return file;
}
