// SPDX-License-Identifier: MIT
// locus: the command line of locus.h. Train, embed models, predict, route, evaluate, look into files. `locus --help`.
//
//     cc -O2 examples/locus/*.c -o build/locus -lm -pthread
//
// Exit status: 0 done, 1 failed, 2 wrong use. Results go to stdout or to the file of --out, which appears whole or not
// at all; errors and progress go to stderr.
//
// Here: the table of commands, and main. Each command is in the file of its group, flags and help text beside it; what
// they share is in locus_tool.h: session.c flags.c output.c text.c arrays.c pool.c costs.c sample.c, and for pictures
// in pictures.h: svg.c layout.c pictures.c.

#include "locus_tool.h"

static const command *const commands[] = {
    &info_command,                                                              // info.c
    &embed_command,      &train_command,   &encode_command, &predict_command,   // embed.c, train.c
    &route_command,      &eval_command,                                         // route.c; eval.c and frontier.c
    &compare_command,                                                           // compare.c
    &neighbours_command, &cluster_command,                                      // neighbours.c
    &portfolio_command,                                                         // portfolio.c
    &search_command,                                                            // neighbours.c
    &duplicates_command,                                                        // compare.c
    &atlas_command,                                                             // atlas.c, atlas.html
    &next_command,       &explain_command, &update_command, &calibrate_command, // update.c
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int print_overview(FILE *out)
{
    fprintf(out, "locus %s: which language model should answer this query?\n\nlocus COMMAND [flags]\n\n",
            locus_version());
    for (int i = 0; i < COMMANDS; ++i) fprintf(out, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "\nlocus COMMAND --help tells more; locus --version prints the version.\n"
                 "Exit status: 0 done, 1 failed, 2 wrong use.\n");
    return out == stdout ? DONE : MISUSED;
}

int run(session *s, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "", *nearest = NULL;
    const command *c = NULL;
    size_t distance = SIZE_MAX;
    s->opt.max_cost = s->opt.lambda = s->opt.budget = s->opt.margin = s->opt.memory = s->opt.height = s->opt.cost =
        -1.0;
    s->opt.noise = s->opt.dropout = s->opt.weight_decay = s->opt.encoder_rate = s->opt.predictor_rate = -1.0;
    if (argc < 2) return print_overview(stderr);
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || (!strcmp(word, "help") && argc == 2))
        return print_overview(stdout);
    if (!strcmp(word, "--version")) return printf("locus %s\n", locus_version()) < 0;
    if (!strcmp(word, "help")) word = argv[2], s->opt.help = 1;
    for (int i = 0; i < COMMANDS; ++i) {
        if (strcmp(word, commands[i]->name) == 0) c = commands[i];
        consider(word, commands[i]->name, &nearest, &distance);
    }
    if (!c)
        return misuse(s, "unknown command %s%s%s%s", word, nearest ? " (did you mean " : "", nearest ? nearest : "",
                      nearest ? "?)" : "");
    s->command = c->name;
    if (!s->opt.help) {
        int status = parse_flags(s, c, argc - 2, argv + 2);
        if (status) return status;
    }
    if (s->opt.help) return print_help(c), DONE;
    return c->run(s);
}

int main(int argc, char **argv)
{
    static session s; // zeroed
    int status = run(&s, argc, argv);
    close_session(&s);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "locus: the output cannot be written\n");
        if (status == DONE) status = FAILED;
    }
    return status;
}
