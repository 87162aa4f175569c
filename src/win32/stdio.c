#include "os.h"

#include <stdio.h>

/* "N": not inheritable. What may be read by whom is the folder's affair here, which new files inherit. */
FILE *spork__os_file_new(const char *path)
{
    wchar_t wide[1024];
    return spork__wide(path, wide, 1024) ? _wfopen(wide, L"wN") : NULL;
}

void spork__os_file_write(FILE *file, const char *text, size_t size)
{
    fwrite(text, 1, size, file);
    fflush(file);
}
void spork__os_file_close(FILE *file) { fclose(file); }

void spork__os_flush(void)
{
    fflush(stdout);
    fflush(stderr);
}

void spork__os_drop_unwritten(void) {}
bool spork__os_lines_leave(void) { return false; }
void spork__os_line_buffer(void) {} /* this C library takes line buffering for full buffering; the header says so */
