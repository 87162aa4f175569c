#include "image.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "spork_config.h"

spork_status spork__function_check(uintptr_t address)
{
    if (address == 0) return spork__fail(SPORK_INVALID, "the target is NULL");
    if (!spork__os_image_holds_code(address))
        return spork__fail(SPORK_INVALID,
                           "the target at %p is not in the code of this program or of a library that it has loaded: "
                           "was its library unloaded?",
                           (void *)address);
    return SPORK_OK;
}

spork_status spork__function_export(uintptr_t address, spork__function *function)
{
    spork__os_image image;
    spork_status status = spork__function_check(address);
    if (status == SPORK_OK) status = spork__os_image_of(address, true, &image);
    if (status != SPORK_OK) return status;
    memset(function, 0, sizeof *function);
    function->offset = address - image.base;
    function->is_program = image.is_program;
    memcpy(function->identity, image.identity, sizeof function->identity);
    snprintf(function->path, sizeof function->path, "%s", image.path);
    return SPORK_OK;
}

/* The function's image is not loaded here: load its file, if that is still the same build. */
static spork_status load(const spork__function *function)
{
    uint8_t identity[SPORK__IDENTITY_SIZE];
    if (function->is_program)
        return spork__fail(
            SPORK_NOT_FOUND,
            "the target belongs to the program %s, but the child runs %s, or another build of it: "
            "was the file changed after the program had started? A target for another executable must be in a "
            "shared library",
            function->path, spork__os_program_path());
    spork_status status = spork__os_image_file_identity(function->path, identity);
    if (status != SPORK_OK)
        return spork__fail_in(status, "the target's library %s cannot be opened in the child", function->path);
    if (memcmp(identity, function->identity, sizeof identity) != 0)
        return spork__fail(SPORK_NOT_FOUND,
                           "the target's library %s was changed on disk after the parent had loaded it: start the "
                           "parent again",
                           function->path);
    return spork__os_image_load(function->path);
}

spork_status spork__function_import(const spork__function *function, uintptr_t *address)
{
    spork__os_image wanted, found, at;
    memset(&wanted, 0, sizeof wanted);
    if (memchr(function->path, 0, sizeof function->path) == NULL)
        return spork__fail(SPORK_BAD_MESSAGE, "the target's path is damaged");
    snprintf(wanted.path, sizeof wanted.path, "%s", function->path);
    wanted.is_program = function->is_program != 0;
    memcpy(wanted.identity, function->identity, sizeof wanted.identity);

    spork_status status = spork__os_image_find(&wanted, &found);
    if (status == SPORK_NOT_FOUND && (status = load(function)) == SPORK_OK) {
        status = spork__os_image_find(&wanted, &found);
        if (status == SPORK_NOT_FOUND)
            return spork__fail(SPORK_NOT_FOUND, "the target's library %s was loaded but is not the parent's build",
                               function->path);
    }
    if (status != SPORK_OK) return status;
    if (function->offset > UINTPTR_MAX - found.base ||
        spork__os_image_of(found.base + (uintptr_t)function->offset, false, &at) != SPORK_OK || at.base != found.base)
        return spork__fail(SPORK_BAD_MESSAGE, "offset 0x%llx is not in the code of %s",
                           (unsigned long long)function->offset, function->path);
    *address = found.base + (uintptr_t)function->offset;
    return SPORK_OK;
}

/* ---- spork-host ---- */

/* Behind the last separator of either kind. */
static const char *base_name(const char *path)
{
    const char *base = path;
    for (const char *at = path; *at != 0; at++)
        if (*at == '/' || *at == '\\') base = at + 1;
    return base;
}

const char *spork_host_path(void)
{
    static _Thread_local char path[2048];
    static const char installed[] = SPORK_INSTALLED_HOST;
    spork__os_image here;
    const char *wish = spork__os_getenv("SPORK_HOST");
    if (wish != NULL && spork__os_file_exists(wish)) {
        snprintf(path, sizeof path, "%s", wish);
        return path;
    }
    if (spork__os_image_of((uintptr_t)&spork_host_path, true, &here) == SPORK_OK) {
        int folder = (int)(base_name(here.path) - here.path);
        snprintf(path, sizeof path, "%.*s%s", folder, here.path, base_name(installed));
        if (spork__os_file_exists(path)) return path;
        /* The whole installation may have been moved, or unpacked elsewhere. */
        snprintf(path, sizeof path, "%.*s%s", folder, here.path, SPORK_HOST_FROM_LIBRARY);
        if (spork__os_file_exists(path)) return path;
    }
    if (spork__os_file_exists(installed)) return installed;
    spork__fail(SPORK_NOT_FOUND,
                "spork_host_path: there is no %s beside the library, nor is there %s; set the environment's SPORK_HOST "
                "to it",
                base_name(installed), installed);
    return NULL;
}
