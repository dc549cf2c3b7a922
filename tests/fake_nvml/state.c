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

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length && strchr(" \t\r", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static unsigned int hash_of(const char *key)
{
    unsigned int hash = 5381;
    while (*key)
        hash = 33 * hash + (unsigned char)*key++;
    return hash;
}

/* Take the lines up to the next [header]; the strings stay where they are in the text. */
Section section_parse(char **text, char *header, size_t header_size)
{
    Section section = {NULL, 0, NULL};
    size_t room = 0;
    header[0] = '\0';
    char *line;
    while ((line = strsep(text, "\n"))) {
        line = trim(line);
        if (!line[0] || line[0] == '#' || line[0] == ';')
            continue;
        if (line[0] == '[') {
            snprintf(header, header_size, "%s", line);
            break;
        }
        char *equals = strchr(line, '=');
        if (!equals) {
            fprintf(stderr, "fake nvml: a line of the state file is no key=value: %s\n", line);
            continue;
        }
        *equals = '\0';
        if (section.count == room) {
            room = room ? 2 * room : 16;
            section.entries = realloc(section.entries, room * sizeof(Entry));
            if (!section.entries)
                abort();
        }
        const char *key = trim(line);
        section.entries[section.count++] = (Entry){hash_of(key), key, trim(equals + 1)};
    }
    return section;
}

static const char *find(const Section *section, const char *key)
{
    unsigned int hash = hash_of(key);
    for (; section; section = section->fallback)
        for (size_t i = section->count; i > 0; i--) { /* the last one counts */
            const Entry *entry = &section->entries[i - 1];
            if (entry->hash == hash && !strcmp(entry->key, key))
                return entry->value;
        }
    return NULL;
}

/* The value of a key, NULL if there is none; a value "@other" is that of the other key. */
const char *section_get(const Section *section, const char *key)
{
    const char *value = find(section, key);
    for (int hops = 0; value && value[0] == '@' && hops < 4; hops++)
        value = find(section, value + 1);
    return value;
}

static void add_gpu(State *state, Section values)
{
    if (state->gpu_count == MAX_GPUS) {
        fprintf(stderr, "fake nvml: more than %d GPUs in the state file\n", MAX_GPUS);
        free(values.entries);
        return;
    }
    const char *model = find(&values, "model");
    values.fallback = model_section(model ? model : "h100");
    if (!values.fallback) {
        fprintf(stderr, "fake nvml: unknown model %s, taken for an h100\n", model);
        values.fallback = model_section("h100");
    }
    Gpu *gpu = &state->gpus[state->gpu_count];
    gpu->values = values;
    gpu->position = state->gpu_count++;
    const char *missing = section_get(&gpu->values, "missing");
    gpu->missing = missing && atoi(missing);
    const char *uuid = section_get(&gpu->values, "uuid");
    if (uuid)
        snprintf(gpu->uuid, sizeof gpu->uuid, "%s", uuid);
    else
        snprintf(gpu->uuid, sizeof gpu->uuid, "GPU-fa4e0000-0000-4000-8000-%012x", gpu->position);
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
    while (header[0]) {
        bool is_gpu = !strcmp(header, "[gpu]");
        if (!is_gpu)
            fprintf(stderr, "fake nvml: unknown section %s in the state file\n", header);
        Section values = section_parse(&rest, header, sizeof header);
        if (is_gpu)
            add_gpu(state, values);
        else
            free(values.entries);
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
    free(state->global.entries);
    for (unsigned int i = 0; i < state->gpu_count; i++)
        free(state->gpus[i].values.entries);
    free(state->text);
    free(state);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void refresh(void)
{
    const char *path = getenv("FAKE_NVML_STATE");
    if (!path || !path[0])
        path = "/etc/fake-nvml.conf";
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
