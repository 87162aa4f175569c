/* A program that knows nothing of Spork: it loads the library that its argument names, and calls its plugin_run. */
#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
typedef HMODULE library_handle;
typedef FARPROC symbol_address;
#define LIBRARY_OPEN(path) LoadLibraryA(path)
#define LIBRARY_FIND(library, name) GetProcAddress(library, name)
#define LIBRARY_CLOSE(library) (FreeLibrary(library) != 0)
#else
#include <dlfcn.h>
typedef void *library_handle;
typedef void *symbol_address;
#define LIBRARY_OPEN(path) dlopen(path, RTLD_NOW | RTLD_LOCAL)
#define LIBRARY_FIND(library, name) dlsym(library, name)
#define LIBRARY_CLOSE(library) (dlclose(library) == 0)
#endif

int main(int argc, char **argv)
{
    library_handle library = argc == 2 ? LIBRARY_OPEN(argv[1]) : NULL;
    symbol_address symbol = library != NULL ? LIBRARY_FIND(library, "plugin_run") : NULL;
    if (symbol == NULL) {
        fputs("usage: host LIBRARY, one that has a plugin_run\n", stderr);
        return 2;
    }

    int (*plugin_run)(void);
    memcpy(&plugin_run, &symbol, sizeof plugin_run); /* ISO C has no conversion between the two */
    int result = plugin_run();
    printf("host: plugin_run returned %d\n", result);
    printf("host: the plug-in is %s\n", LIBRARY_CLOSE(library) ? "unloaded" : "still loaded");
    return result;
}
