/* What every call goes through: is NVML up, is the handle good, and the faults that the state file asks for. */
#include "fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HANDLES 16384

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int initialised;
static long long generation; /* of the driver that NVML was initialised with */

/* One per GPU or MIG device ever seen and generation, never freed. */
static struct nvmlDevice_st handles[MAX_HANDLES];
static size_t handle_count;

typedef struct {
    const char *function;
    const void *out;        /* NULL: the caller gave no place for the answer */
    const char *uuid;       /* the GPU that a call on no handle goes on with */
    nvmlDevice_t device;    /* NULL in a call on no handle */
    bool on_handle, on_mig; /* it takes a handle; also one of a MIG device */
} Request;

long long library_generation(void)
{
    return __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
}

static bool is_handle(nvmlDevice_t device)
{
    size_t offset = (size_t)((const char *)device - (const char *)handles);
    return device && offset % sizeof handles[0] == 0 &&
           offset / sizeof handles[0] < __atomic_load_n(&handle_count, __ATOMIC_ACQUIRE) &&
           device->generation == library_generation();
}

/* The handle of a GPU or a part of it: the same one each time, also after it was gone for a while. */
nvmlDevice_t device_handle(const char *uuid, unsigned int gi, unsigned int ci)
{
    nvmlDevice_t found = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = handle_count; i > 0 && !found; i--) {
        nvmlDevice_t one = &handles[i - 1];
        if (one->gi == gi && one->ci == ci && one->generation == generation && !strcmp(one->uuid, uuid))
            found = one;
    }
    if (!found && handle_count < MAX_HANDLES) {
        found = &handles[handle_count];
        *found = (struct nvmlDevice_st){.gi = gi, .ci = ci, .generation = generation};
        snprintf(found->uuid, sizeof found->uuid, "%s", uuid);
        __atomic_store_n(&handle_count, handle_count + 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Known of calls on a MIG device's handle: most are not supported, these find the handle invalid. */
static nvmlReturn_t refused_for_mig(const char *function)
{
    static const char *const invalid[] = {"nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV",
                                          "nvmlDeviceGetPcieThroughput", "nvmlDeviceRegisterEvents",
                                          "nvmlGpmMigSampleGet"};
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
        if (!strcmp(invalid[i], function))
            return NVML_ERROR_INVALID_ARGUMENT;
    return NVML_ERROR_NOT_SUPPORTED;
}

/* Is the request one that can be answered; finds its GPU and MIG device. */
static nvmlReturn_t resolve(Call *call, const Request *request)
{
    if (!__atomic_load_n(&initialised, __ATOMIC_ACQUIRE))
        return NVML_ERROR_UNINITIALIZED;
    if (call->state->driver_gone)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    if (call->state->generation != library_generation())
        return NVML_ERROR_UNINITIALIZED;
    if (!request->out || (request->on_handle && !is_handle(request->device)))
        return NVML_ERROR_INVALID_ARGUMENT;
    const char *uuid = request->on_handle ? request->device->uuid : request->uuid;
    if (!uuid)
        return NVML_SUCCESS;
    call->gpu = gpu_by_uuid(call->state, uuid);
    if (!call->gpu)
        return NVML_ERROR_GPU_IS_LOST;
    if (!request->on_handle || request->device->gi == NO_INSTANCE)
        return NVML_SUCCESS;
    call->mig = mig_of(call->gpu, request->device->gi, request->device->ci);
    if (!call->mig)
        return NVML_ERROR_INVALID_ARGUMENT; /* its instance was destroyed */
    return request->on_mig ? NVML_SUCCESS : refused_for_mig(request->function);
}

/* The GPU's error, or "mig.<GPU instance>.error" in a call on a MIG device, if there is one. */
static nvmlReturn_t error_of_part(const Call *call, const char *function)
{
    char key[32];
    snprintf(key, sizeof key, "mig.%u.error", call->mig ? call->mig->gi : 0);
    const char *own = call->mig ? section_get(&call->gpu->values, key) : NULL;
    return own ? error_code(own) : error_of(call->gpu ? &call->gpu->values : NULL, function);
}

/* Live through the faults; holds no lock and no snapshot while it waits, so other GPUs and the file go on. */
static bool enter(Call *call, const Request *request)
{
    for (bool slept = false;;) {
        const State *state = state_acquire();
        *call = (Call){NVML_SUCCESS, state, NULL, NULL};
        call->result = resolve(call, request);
        if (call->result == NVML_SUCCESS) {
            const Section *values = call->gpu ? &call->gpu->values : NULL;
            double wait = 0;
            if (hangs(&state->global, request->function) || hangs(values, request->function)) {
                wait = 10000;
            } else if (!slept) {
                wait = latency_us(request->uuid ? NULL : state, call->gpu, request->function);
                slept = true;
            }
            if (wait > 0) {
                state_release(state);
                pause_us(wait);
                continue;
            }
            call->result = error_of(&state->global, request->function);
            if (call->result == NVML_SUCCESS)
                call->result = error_of_part(call, request->function);
        }
        if (call->result == NVML_SUCCESS)
            return true;
        state_release(state);
        call->state = NULL;
        return false;
    }
}

/* A call on a whole GPU. */
bool begin(Call *call, nvmlDevice_t device, const char *function, const void *out)
{
    return enter(call, &(Request){.function = function, .out = out, .device = device, .on_handle = true});
}

bool begin_also_mig(Call *call, nvmlDevice_t device, const char *function, const void *out)
{
    return enter(call, &(Request){function, out, NULL, device, true, true});
}

bool begin_global(Call *call, const char *function, const void *out)
{
    return enter(call, &(Request){.function = function, .out = out});
}

/* A call that was begun without a GPU goes on with one: its faults count too. Ends the call when it fails. */
bool begin_lookup(Call *call, const char *function, const Gpu *gpu)
{
    char uuid[UUID_SIZE];
    snprintf(uuid, sizeof uuid, "%s", gpu->uuid);
    end(call);
    return enter(call, &(Request){.function = function, .out = call, .uuid = uuid});
}

nvmlReturn_t fail(Call *call, nvmlReturn_t result)
{
    if (call->result == NVML_SUCCESS)
        call->result = result;
    return call->result;
}

nvmlReturn_t end(Call *call)
{
    if (call->state)
        state_release(call->state);
    call->state = NULL;
    return call->result;
}

nvmlReturn_t library_init(void)
{
    for (bool slept = false;;) {
        const State *state = state_acquire();
        const Section *global = &state->global;
        double wait = 0;
        if (section_number(global, "init_hang", 0)) {
            wait = 10000;
        } else if (!slept) {
            const char *latency = section_get(global, "init_latency_ms");
            wait = latency ? 1000 * strtod(latency, NULL) : 0;
            slept = true;
        }
        const char *error = section_get(global, "init_error");
        nvmlReturn_t result = state->driver_gone ? NVML_ERROR_DRIVER_NOT_LOADED : NVML_SUCCESS;
        if (error)
            result = error_code(error);
        if (wait <= 0 && result == NVML_SUCCESS) {
            pthread_mutex_lock(&lock);
            if (!initialised)
                __atomic_store_n(&generation, state->generation, __ATOMIC_RELEASE);
            __atomic_store_n(&initialised, initialised + 1, __ATOMIC_RELEASE);
            pthread_mutex_unlock(&lock);
        }
        state_release(state);
        if (wait <= 0)
            return result;
        pause_us(wait);
    }
}

nvmlReturn_t library_shutdown(void)
{
    nvmlReturn_t result = NVML_SUCCESS;
    pthread_mutex_lock(&lock);
    if (initialised)
        __atomic_store_n(&initialised, initialised - 1, __ATOMIC_RELEASE);
    else
        result = NVML_ERROR_UNINITIALIZED;
    pthread_mutex_unlock(&lock);
    return result;
}
