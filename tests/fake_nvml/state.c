/* The state file: parsed into immutable, counted snapshots, so that a call keeps its own while the file changes. */
#include "fake.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static State *current;
static struct stat current_file;
static u64 looked_at;

static void add_gpu(State *state, Section values)
{
    if (state->gpu_count == MAX_GPUS) {
        fprintf(stderr, "fake nvml: more than %d GPUs in the state file\n", MAX_GPUS);
        section_free(&values);
        return;
    }
    const char *model = section_get(&values, "model");
    values.fallback = model_section(model ? model : "h100");
    if (!values.fallback) {
        fprintf(stderr, "fake nvml: unknown model %s, taken for an h100\n", model);
        values.fallback = model_section("h100");
    }
    Gpu *gpu = &state->gpus[state->gpu_count];
    gpu->values = values;
    gpu->position = state->gpu_count++;
    gpu->missing = section_number(&gpu->values, "missing", 0) != 0;
    const char *uuid = section_get(&gpu->values, "uuid");
    if (uuid)
        snprintf(gpu->uuid, sizeof gpu->uuid, "%s", uuid);
    else
        snprintf(gpu->uuid, sizeof gpu->uuid, "GPU-fa4e0000-0000-4000-8000-%012x", gpu->position);
    mig_parse(gpu);
}

static State *state_parse(char *text)
{
    State *state = calloc(1, sizeof *state);
    if (!state)
        abort();
    state->references = 1;
    state->text = text;
    char header[32];
    char *rest = text;
    state->global = section_parse(&rest, header, sizeof header);
    state->generation = section_number(&state->global, "generation", 0);
    state->driver_gone = section_number(&state->global, "driver_gone", 0) != 0;
    state->realistic = section_number(&state->global, "realistic", 0) != 0;
    while (header[0]) {
        bool is_gpu = !strcmp(header, "[gpu]");
        if (!is_gpu)
            fprintf(stderr, "fake nvml: unknown section %s in the state file\n", header);
        Section values = section_parse(&rest, header, sizeof header);
        if (is_gpu)
            add_gpu(state, values);
        else
            section_free(&values);
    }
    return state;
}

static char *read_file(int file, size_t size)
{
    char *text = calloc(1, size + 1);
    if (!text)
        abort();
    size_t done = 0;
    ssize_t got;
    while (done < size && (got = read(file, text + done, size - done)) > 0)
        done += (size_t)got;
    return text;
}

static void drop(State *state)
{
    if (!state || --state->references)
        return;
    section_free(&state->global);
    for (unsigned int i = 0; i < state->gpu_count; i++)
        section_free(&state->gpus[i].values);
    free(state->text);
    free(state);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

const char *state_path(void)
{
    const char *path = getenv("FAKE_NVML_STATE");
    return path && path[0] ? path : "/etc/fake-nvml.conf";
}

static void refresh(void)
{
    u64 now = monotonic_us();
    if (current && now - looked_at < LOOK_EVERY_US)
        return;
    looked_at = now; /* before the look: what changes from here on is seen LOOK_EVERY_US later at the latest */
    const char *path = state_path();
    struct stat found = {0};
    bool exists = stat(path, &found) == 0;
    if (!exists)
        memset(&found, 0, sizeof found);
    if (current && same_file(&found, &current_file))
        return;
    int file = exists ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0)
        fstat(file, &found); /* it may have been replaced since: remember the one that is read */
    State *fresh = state_parse(read_file(file, file >= 0 ? (size_t)found.st_size : 0));
    if (file >= 0)
        close(file);
    drop(current);
    current = fresh;
    current_file = found;
}

const State *state_acquire(void)
{
    pthread_mutex_lock(&lock);
    refresh();
    current->references++;
    const State *state = current;
    pthread_mutex_unlock(&lock);
    return state;
}

void state_release(const State *state)
{
    pthread_mutex_lock(&lock);
    drop((State *)state);
    pthread_mutex_unlock(&lock);
}

/* The GPU of this UUID, NULL when the file has none or says that it is missing. */
const Gpu *gpu_by_uuid(const State *state, const char *uuid)
{
    for (unsigned int i = 0; i < state->gpu_count; i++)
        if (!state->gpus[i].missing && !strcmp(state->gpus[i].uuid, uuid))
            return &state->gpus[i];
    return NULL;
}
