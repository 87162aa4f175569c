/* Duplex: a protocol of questions and answers over one connection. The child closes nothing and is told nothing at the end: it
 * sees that nobody can ask any more. */
#include <spork/spork.h>
#include <stdio.h>
#include <string.h>

static spork_status answer(spork_connection *c, const spork_args *question)
{
    const char *verb;
    double a, b;
    if (spork_unpack(question, &verb, &a, &b) != SPORK_OK) /* the sentence says which argument is wrong */
        return spork_connection_send(c, spork_pack(false, 0.0, spork_error()), SPORK_FOREVER);
    if (strcmp(verb, "add") == 0) return spork_connection_send(c, spork_pack(true, a + b, ""), SPORK_FOREVER);
    if (strcmp(verb, "divide") != 0)
        return spork_connection_send(c, spork_pack(false, 0.0, "unknown verb"), SPORK_FOREVER);
    if (b == 0) return spork_connection_send(c, spork_pack(false, 0.0, "division by zero"), SPORK_FOREVER);
    return spork_connection_send(c, spork_pack(true, a / b, ""), SPORK_FOREVER);
}

static int serve(const spork_args *args)
{
    spork_connection *c;
    spork_args *question;
    spork_status status;
    int answered = 0;
    if (spork_unpack(args, &c) != SPORK_OK) return 1;
    while ((status = spork_connection_recv(c, &question, SPORK_FOREVER)) == SPORK_OK) {
        SPORK_MUST(answer(c, question));
        spork_args_free(question);
        answered++;
    }
    printf("child: %d answers, then %s\n", answered, spork_status_name(status));
    return 0;
}

static void ask(spork_connection *c, spork_args question)
{
    spork_args *reply;
    bool fine;
    double value;
    const char *problem;
    SPORK_MUST(spork_connection_send(c, question, SPORK_FOREVER));
    SPORK_MUST(spork_connection_recv(c, &reply, SPORK_FOREVER));
    SPORK_MUST(spork_unpack(reply, &fine, &value, &problem));
    if (fine) printf("parent: %g\n", value);
    else printf("parent: %s\n", problem);
    fflush(stdout);
    spork_args_free(reply);
}

int main(int argc, char **argv)
{
    spork_connection *ours, *theirs;
    SPORK_MUST(spork_init(argc, argv));
    SPORK_MUST(spork_pipe_duplex(&ours, &theirs));
    spork_process *p = spork_process_new(serve, spork_pack(spork_move(theirs)));
    SPORK_MUST(spork_process_start(p));
    ask(ours, spork_pack("add", 2.0, 0.5));
    ask(ours, spork_pack("divide", 1.0, 8.0));
    ask(ours, spork_pack("divide", 1.0, 0.0));
    ask(ours, spork_pack("add", "two", 1.0));
    spork_connection_free(ours);
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    spork_process_free(p);
    return 0;
}
