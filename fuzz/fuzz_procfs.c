/* Any text as a line of /proc/PID/stat or of /proc/net/unix. The latter lists names that anybody on the machine may have made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "identity_procfs.h"
#if FUZZ_ABSTRACT_NAMES
#include "named_abstract.h"
#endif

static void parse_stat(const char *text)
{
    spork__stat_line line;
    memset(&line, 0xA5, sizeof line);
    if (!spork__stat_parse(text, &line)) return;
    const char *name_end = strrchr(text, ')');
    EXPECT(name_end != NULL && strlen(name_end) >= 20); /* a blank for each field behind the name */
}

#if FUZZ_ABSTRACT_NAMES
static void parse_name(const char *text)
{
    static const char ours[] = "spork-shm/0/name";
    char again[512];
    int pid = -1, number = -1;
    if (!spork__owned_parse(text, ours, &pid, &number)) return;
    EXPECT(pid >= 0 && number >= 0);
    snprintf(again, sizeof again, "x @%s/%d/%d", ours, pid, number);
    int pid_again, number_again;
    EXPECT(spork__owned_parse(again, ours, &pid_again, &number_again));
    EXPECT(pid == pid_again && number == number_again);
}
#else
static void parse_name(const char *text) { (void)text; } /* names are files here */
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    EXPECT(text != NULL);
    if (size > 0) memcpy(text, data, size);
    text[size] = 0;
    parse_stat(text);
    parse_name(text);
    free(text);
    return 0;
}
