/* spork-host: the program that children run in when the host's own main is not ours, as in a plug-in. It holds no target; those
 * are in the libraries that it is told to load. */
#include <spork/spork.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv)); /* started by Spork, it does not return from here */
    fprintf(stderr,
            "spork-host %s runs functions of plug-ins in processes of their own.\n"
            "It is started by Spork: spork_set_executable(spork_host_path());\n",
            spork_version());
    return 2;
}
