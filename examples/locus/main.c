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
    &info_command,       // info.c
    &embed_command,      // embed.c
    &train_command,      // train.c
    &encode_command,     // embed.c
    &predict_command,    // embed.c
    &route_command,      // route.c
    &eval_command,       // eval.c, and frontier.c for what quality costs
    &compare_command,    // compare.c
    &neighbours_command, // neighbours.c
    &cluster_command,    // neighbours.c
    &portfolio_command,  // portfolio.c
    &search_command,     // neighbours.c
    &duplicates_command, // compare.c
    &atlas_command,      // atlas.c, and atlas.html
    &next_command,       // evidence.c
    &explain_command,    // evidence.c
    &update_command,     // update.c
    &calibrate_command,  // update.c
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_overview(FILE *f)
{
    fprintf(f, "locus %s: which language model should answer this query?\n\nlocus COMMAND [flags]\n\n",
            locus_version());
    for (int i = 0; i < COMMANDS; ++i) fprintf(f, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
    fprintf(f, "\nlocus COMMAND --help tells more; locus --version prints the version.\n"
               "Exit status: 0 done, 1 failed, 2 wrong use.\n");
}

static const command *find_command(const char *word)
{
    guess meant = {.word = word};
    for (int i = 0; i < COMMANDS; ++i) {
        if (strcmp(word, commands[i]->name) == 0) return commands[i];
        consider(&meant, commands[i]->name);
    }
    misuse("unknown command %s%s", word, did_you_mean(&meant));
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    opt.max_cost = opt.lambda = opt.budget = opt.margin = opt.memory = opt.height = opt.cost = -1.0;
    opt.noise = opt.dropout = opt.weight_decay = opt.encoder_rate = opt.predictor_rate = -1.0;
    if (argc < 2) {
        print_overview(stderr);
        leave(MISUSED);
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || (!strcmp(word, "help") && argc == 2)) {
        print_overview(stdout);
        leave(DONE);
    }
    if (!strcmp(word, "--version")) {
        printf("locus %s\n", locus_version());
        leave(DONE);
    }
    opt.help = strcmp(word, "help") == 0;
    const command *c = find_command(opt.help ? argv[2] : word);
    tool.command = c->name;
    if (!opt.help) parse_flags(c, argc - 2, argv + 2);
    if (opt.help) print_help(c);
    else {
        start_run();
        c->run();
    }
    leave(DONE);
}
