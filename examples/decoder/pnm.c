/* Decodes PNM, the two binary forms with up to 8 bits: grey (P5) and colour (P6). As naive as many a decoder: it trusts the header. A
 * worker runs it, so that this costs a file, and not the program. */
#include "decoder.h"

typedef struct reader {
    const unsigned char *data;
    size_t size, at;
} reader;

/* The next byte; -1 at the end. */
static int next(reader *file) { return file->at < file->size ? file->data[file->at++] : -1; }

/* The next number of the header, and the byte after it. Searches on where the file ends before there is one: for ever. */
static size_t next_number(reader *file)
{
    size_t number = 0;
    int c;
    for (;;) {
        c = next(file);
        if (c >= '0' && c <= '9') break;
        if (c == '#') { /* a comment, to the end of its line */
            do c = next(file);
            while (c != '\n' && c != -1);
        }
    }
    for (; c >= '0' && c <= '9'; c = next(file)) number = number * 10 + (size_t)(c - '0');
    return number;
}

int decode_pnm(spork_bytes bytes, spork_task *task)
{
    reader file = {bytes.data, bytes.size, 2};
    size_t channels = file.data[1] == '6' ? 3 : 1;
    size_t width = next_number(&file), height = next_number(&file), white = next_number(&file);
    if (white == 0 || white > 255) return spork_fail(task, "its white is %zu, and has to be from 1 to 255", white);

    size_t size = width * height * channels;
    unsigned char *pixels = spork_task_alloc(task, size); /* NULL if the header asks for too much: who would do that? */
    for (size_t i = 0; i < size; i++) {
        int c = next(&file);
        if (c < 0) return spork_fail(task, "it ends after %zu of %zu bytes of pixels", i, size);
        pixels[i] = (unsigned char)((size_t)c * 255 / white);
    }
    return spork_return(task, width, height, channels, spork_bytes_of(pixels, size));
}
