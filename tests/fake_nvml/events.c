/* Events: an XID is delivered when a GPU's xid_seq in the state file grows. */
#include "fake.h"

#include <pthread.h>
#include <stdlib.h>

#define POLL_MS 10

struct nvmlEventSet_st {
    pthread_mutex_t lock;
    size_t count;
    struct {
        nvmlDevice_t device;
        u64 types;
        u64 seen; /* the last xid_seq: what happened before the registration is not delivered */
    } watched[MAX_GPUS];
};

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
        *set = made;
    }
    return end(&call);
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    Call call;
    if (!begin_global(&call, __func__, set))
        return call.result;
    pthread_mutex_destroy(&set->lock);
    free(set);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *eventTypes)
{
    return read_u64(device, __func__, "event_types", eventTypes);
}

static u64 optional(const Gpu *gpu, const char *key)
{
    const char *text = section_get(&gpu->values, key);
    return text ? strtoull(text, NULL, 0) : 0;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long eventTypes, nvmlEventSet_t set)
{
    Call call;
    if (!begin(&call, device, __func__, set))
        return call.result;
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
            set->watched[at].seen = optional(call.gpu, "xid_seq");
        } else {
            set->watched[at].types |= eventTypes;
        }
        pthread_mutex_unlock(&set->lock);
    }
    return end(&call);
}

/* An event that happened since the last look, else GPU_IS_LOST for a watched GPU that is, else TIMEOUT. */
static nvmlReturn_t look(const State *state, nvmlEventSet_t set, nvmlEventData_t *data, const char *function)
{
    nvmlReturn_t result = NVML_ERROR_TIMEOUT;
    for (size_t i = 0; i < set->count; i++) {
        nvmlDevice_t device = set->watched[i].device;
        const Gpu *gpu = gpu_by_uuid(state, device->uuid);
        u64 seq = gpu ? optional(gpu, "xid_seq") : 0;
        if (seq > set->watched[i].seen) {
            set->watched[i].seen = seq;
            if (!(set->watched[i].types & nvmlEventTypeXidCriticalError))
                continue;
            *data = (nvmlEventData_t){device, nvmlEventTypeXidCriticalError, optional(gpu, "xid"), 0xFFFFFFFF,
                                      0xFFFFFFFF};
            return NVML_SUCCESS;
        }
        if (!gpu || gpu_error(gpu, function) == NVML_ERROR_GPU_IS_LOST)
            result = NVML_ERROR_GPU_IS_LOST;
    }
    return result;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeoutms)
{
    u64 deadline = now_us() + 1000ULL * timeoutms;
    for (;;) {
        Call call;
        if (!begin_global(&call, __func__, set ? data : NULL))
            return call.result;
        pthread_mutex_lock(&set->lock);
        fail(&call, look(call.state, set, data, __func__));
        pthread_mutex_unlock(&set->lock);
        u64 now = now_us();
        if (end(&call) != NVML_ERROR_TIMEOUT || now >= deadline)
            return call.result;
        double left = (double)(deadline - now) / 1000;
        sleep_ms(left < POLL_MS ? left : POLL_MS);
    }
}
