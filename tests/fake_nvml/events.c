/* Events: an XID is delivered for each step that a GPU's xid_seq in the state file grows. */
#define _GNU_SOURCE /* ppoll */
#include "fake.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define POLL_US 10000.0 /* where the state file's folder cannot be watched */
#define MAX_XIDS 64

struct nvmlEventSet_st {
    pthread_mutex_t lock;
    int folder; /* inotify's: tells when something in the state file's folder changed; -1: it cannot be watched */
    long long generation;
    size_t count;
    struct {
        nvmlDevice_t device;
        u64 types;
        u64 seen; /* the last xid_seq: what happened before the registration is not delivered */
    } watched[MAX_GPUS];
};

/* The folder of the file itself, which the path may be a link to. */
static int watch_folder(void)
{
    char *path = realpath(state_path(), NULL);
    char *slash = path ? strrchr(path, '/') : NULL;
    int file = slash ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
    if (file >= 0) {
        slash[slash == path] = '\0';
        unsigned int changes = IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE | IN_DELETE_SELF;
        if (inotify_add_watch(file, path, changes) < 0) {
            close(file);
            file = -1;
        }
    }
    free(path);
    return file;
}

/* Blocks as the driver does, until the file may have changed; then until no call goes by the old one. */
static void pause_for_change(int folder, u64 longest_us)
{
    if (folder < 0) {
        pause_us((double)longest_us < POLL_US ? (double)longest_us : POLL_US);
        return;
    }
    struct pollfd wanted = {.fd = folder, .events = POLLIN};
    struct timespec longest = {(time_t)(longest_us / 1000000), (long)(longest_us % 1000000) * 1000};
    if (ppoll(&wanted, 1, &longest, NULL) <= 0)
        return;
    char changes[4096];
    while (read(folder, changes, sizeof changes) > 0)
        ;
    pause_us(LOOK_EVERY_US);
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    Call call;
    if (!begin_global(&call, __func__, set))
        return call.result;
    struct nvmlEventSet_st *made = calloc(1, sizeof *made);
    if (!made) {
        fail(&call, NVML_ERROR_MEMORY);
    } else {
        pthread_mutex_init(&made->lock, NULL);
        made->generation = library_generation();
        made->folder = watch_folder();
        *set = made;
    }
    return end(&call);
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    Call call;
    if (!begin_global(&call, __func__, set))
        return call.result;
    if (set->folder >= 0)
        close(set->folder);
    pthread_mutex_destroy(&set->lock);
    free(set);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *eventTypes)
{
    return read_u64(device, __func__, "event_types", eventTypes);
}

static u64 sequence_of(const Gpu *gpu)
{
    return (u64)section_number(&gpu->values, "xid_seq", 0);
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long eventTypes, nvmlEventSet_t set)
{
    Call call;
    if (!begin(&call, device, __func__, set))
        return call.result;
    if (set->generation != library_generation())
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (eventTypes & ~reading(&call, "event_types"))
        fail(&call, NVML_ERROR_NOT_SUPPORTED);
    if (call.result == NVML_SUCCESS) {
        pthread_mutex_lock(&set->lock);
        size_t at = 0;
        while (at < set->count && set->watched[at].device != device)
            at++;
        if (at == MAX_GPUS) {
            fail(&call, NVML_ERROR_INSUFFICIENT_RESOURCES);
        } else if (at == set->count) {
            set->count++;
            set->watched[at].device = device;
            set->watched[at].types = eventTypes;
            set->watched[at].seen = sequence_of(call.gpu);
        } else {
            set->watched[at].types |= eventTypes;
        }
        pthread_mutex_unlock(&set->lock);
    }
    return end(&call);
}

/* "xid=31,79" is the code of the last event and of those before it; the first of the list stands for all earlier. */
static u64 xid_of(const Gpu *gpu, u64 sequence)
{
    unsigned int codes[MAX_XIDS];
    size_t count = number_list(section_get(&gpu->values, "xid"), codes, MAX_XIDS);
    u64 back = sequence_of(gpu) - sequence;
    if (!count || count > MAX_XIDS)
        return 0;
    return codes[back < count ? count - 1 - back : 0];
}

/* An event that happened since the last look, else GPU_IS_LOST for a watched GPU that is, else TIMEOUT. */
static nvmlReturn_t look(const State *state, nvmlEventSet_t set, nvmlEventData_t *data, const char *function)
{
    nvmlReturn_t result = NVML_ERROR_TIMEOUT;
    for (size_t i = 0; i < set->count; i++) {
        nvmlDevice_t device = set->watched[i].device;
        const Gpu *gpu = gpu_by_uuid(state, device->uuid);
        if (gpu && sequence_of(gpu) > set->watched[i].seen) {
            u64 sequence = ++set->watched[i].seen;
            if (!(set->watched[i].types & nvmlEventTypeXidCriticalError)) {
                set->watched[i].seen = sequence_of(gpu);
                continue;
            }
            unsigned int gi = (unsigned int)section_number(&gpu->values, "xid_gi", NO_INSTANCE);
            unsigned int ci = (unsigned int)section_number(&gpu->values, "xid_ci", NO_INSTANCE);
            *data = (nvmlEventData_t){device, nvmlEventTypeXidCriticalError, xid_of(gpu, sequence), gi, ci};
            return NVML_SUCCESS;
        }
        if (!gpu || error_of(&gpu->values, function) == NVML_ERROR_GPU_IS_LOST)
            result = NVML_ERROR_GPU_IS_LOST;
    }
    return result;
}

/* The wait itself goes by the clock that no one sets. */
static nvmlReturn_t wait_for(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeout_ms, const char *function)
{
    u64 deadline = monotonic_us() + 1000ULL * timeout_ms;
    for (;;) {
        Call call;
        if (!begin_global(&call, function, set ? data : NULL))
            return call.result;
        if (set->generation != library_generation()) {
            fail(&call, NVML_ERROR_INVALID_ARGUMENT);
            return end(&call);
        }
        pthread_mutex_lock(&set->lock);
        fail(&call, look(call.state, set, data, function));
        pthread_mutex_unlock(&set->lock);
        u64 now = monotonic_us();
        if (end(&call) != NVML_ERROR_TIMEOUT || now >= deadline)
            return call.result;
        pause_for_change(set->folder, deadline - now);
    }
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    return wait_for(set, data, timeoutms, __func__);
}

/* The older one knows no instances: the last two members are not its own. */
nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    nvmlEventData_t found;
    nvmlReturn_t result = wait_for(set, data ? &found : NULL, timeoutms, __func__);
    if (result == NVML_SUCCESS) {
        data->device = found.device;
        data->eventType = found.eventType;
        data->eventData = found.eventData;
    }
    return result;
}
