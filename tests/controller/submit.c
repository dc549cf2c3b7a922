/* Submits jobs of many users through libslurm: submit KIND COUNT FIRST
 *
 * held, plain: COUNT pending jobs, held ones or such that wait for a partition that is down; FIRST numbers them, so
 * that several processes can share the work. array: one array of COUNT tasks. running: COUNT allocations, which run without
 * any slurmd. Prints how many were made.
 */
#include <errno.h>
#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USERS 200
#define FIRST_UID 20000

static char *environment[] = {"PATH=/usr/bin", NULL};
static const char *partitions[] = {"batch", "long", "batch,long", "debug"};
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
#define GRES "gres/"
#else
#define GRES "gres:"
#endif
static const char *gpus[] = {NULL, NULL, GRES "gpu:1", GRES "gpu:h100:4"};

static void describe(job_desc_msg_t *job, unsigned int number)
{
    static char account[32];
    slurm_init_job_desc_msg(job);
    job->user_id = FIRST_UID + number % USERS;
    job->group_id = job->user_id;
    snprintf(account, sizeof account, "account%u", job->user_id % 20);
    job->account = account;
    job->name = "bench";
    job->partition = (char *)partitions[number / 7 % 4];
    job->min_cpus = 1 + number / 3 % 4;
    job->pn_min_memory = 1000 * (1 + number / 11 % 3);
    job->tres_per_node = (char *)gpus[number / 5 % 4];
    job->time_limit = 60;
    job->work_dir = "/tmp";
    job->environment = environment;
    job->env_size = 1;
}

static int made(const char *what, unsigned int number)
{
    fprintf(stderr, "%s %u: %s\n", what, number, slurm_strerror(errno));
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(20, 11, 0)
    slurm_init(NULL);
#endif
    const char *kind = argv[1];
    unsigned int count = strtoul(argv[2], NULL, 10), first = strtoul(argv[3], NULL, 10);
    unsigned int jobs = strcmp(kind, "array") ? count : 1;
    for (unsigned int number = first; number < first + jobs; number++) {
        job_desc_msg_t job;
        describe(&job, number);
        if (!strcmp(kind, "running")) {
            resource_allocation_response_msg_t *answer = NULL;
            job.partition = "batch";
            job.tres_per_node = (char *)(number % 4 ? NULL : GRES "gpu:1");
            job.min_nodes = job.max_nodes = 1;
            job.immediate = 1; /* the scheduler rests */
            if (slurm_allocate_resources(&job, &answer) || !answer)
                return made("allocation", number);
            slurm_free_resource_allocation_response_msg(answer);
            continue;
        }
        submit_response_msg_t *answer = NULL;
        char tasks[32];
        job.script = "#!/bin/sh\ntrue\n";
        job.std_out = "/dev/null";
        if (!strcmp(kind, "plain"))
            job.partition = "closed";
        if (!strcmp(kind, "held") || jobs != count)
            job.priority = 0;
        if (!strcmp(kind, "array")) {
            snprintf(tasks, sizeof tasks, "0-%u", count - 1);
            job.array_inx = tasks;
        }
        if (slurm_submit_batch_job(&job, &answer))
            return made("job", number);
        slurm_free_submit_response_response_msg(answer);
    }
    printf("%u\n", jobs);
    return 0;
}
