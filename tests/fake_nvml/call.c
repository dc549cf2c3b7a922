/* What every call goes through: is NVML up, is the handle good, and the faults that the state file asks for. */
#include "fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int initialised;
static struct nvmlDevice_st *devices[4 * MAX_GPUS]; /* one per UUID ever seen, never freed */
static size_t device_count;

static const struct {
    nvmlReturn_t code;
    const char *name;
    const char *text;
} errors[] = {
    {NVML_SUCCESS, "SUCCESS", "Success"},
    {NVML_ERROR_UNINITIALIZED, "UNINITIALIZED", "Uninitialized"},
    {NVML_ERROR_INVALID_ARGUMENT, "INVALID_ARGUMENT", "Invalid Argument"},
    {NVML_ERROR_NOT_SUPPORTED, "NOT_SUPPORTED", "Not Supported"},
    {NVML_ERROR_NO_PERMISSION, "NO_PERMISSION", "Insufficient Permissions"},
    {NVML_ERROR_ALREADY_INITIALIZED, "ALREADY_INITIALIZED", "Already Initialized"},
    {NVML_ERROR_NOT_FOUND, "NOT_FOUND", "Not Found"},
    {NVML_ERROR_INSUFFICIENT_SIZE, "INSUFFICIENT_SIZE", "Insufficient Size"},
    {NVML_ERROR_INSUFFICIENT_POWER, "INSUFFICIENT_POWER", "Insufficient External Power"},
    {NVML_ERROR_DRIVER_NOT_LOADED, "DRIVER_NOT_LOADED", "Driver Not Loaded"},
    {NVML_ERROR_TIMEOUT, "TIMEOUT", "Timeout"},
    {NVML_ERROR_IRQ_ISSUE, "IRQ_ISSUE", "Interrupt Request Issue"},
    {NVML_ERROR_LIBRARY_NOT_FOUND, "LIBRARY_NOT_FOUND", "NVML Shared Library Not Found"},
    {NVML_ERROR_FUNCTION_NOT_FOUND, "FUNCTION_NOT_FOUND", "Function Not Found"},
    {NVML_ERROR_CORRUPTED_INFOROM, "CORRUPTED_INFOROM", "Corrupted infoROM"},
    {NVML_ERROR_GPU_IS_LOST, "GPU_IS_LOST", "GPU is lost"},
    {NVML_ERROR_RESET_REQUIRED, "RESET_REQUIRED", "GPU requires reset"},
    {NVML_ERROR_OPERATING_SYSTEM, "OPERATING_SYSTEM", "The operating system has blocked the request."},
    {NVML_ERROR_LIB_RM_VERSION_MISMATCH, "LIB_RM_VERSION_MISMATCH", "RM has detected an NVML/RM version mismatch."},
    {NVML_ERROR_IN_USE, "IN_USE", "In use by another client"},
    {NVML_ERROR_MEMORY, "MEMORY", "Insufficient Memory"},
    {NVML_ERROR_NO_DATA, "NO_DATA", "No data"},
    {NVML_ERROR_VGPU_ECC_NOT_SUPPORTED, "VGPU_ECC_NOT_SUPPORTED", "VGPU ECC not supported"},
    {NVML_ERROR_INSUFFICIENT_RESOURCES, "INSUFFICIENT_RESOURCES", "Insufficient Resources"},
    {NVML_ERROR_FREQ_NOT_SUPPORTED, "FREQ_NOT_SUPPORTED", "Frequency not supported"},
    {NVML_ERROR_ARGUMENT_VERSION_MISMATCH, "ARGUMENT_VERSION_MISMATCH", "Argument version mismatch"},
    {NVML_ERROR_DEPRECATED, "DEPRECATED", "Deprecated"},
    {NVML_ERROR_NOT_READY, "NOT_READY", "Not Ready"},
    {NVML_ERROR_GPU_NOT_FOUND, "GPU_NOT_FOUND", "GPU Not Found"},
    {NVML_ERROR_INVALID_STATE, "INVALID_STATE", "Invalid State"},
    {NVML_ERROR_UNKNOWN, "UNKNOWN", "Unknown Error"},
};

const char *error_text(nvmlReturn_t result)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].code == result)
            return errors[i].text;
    return "Unknown Error";
}

/* The code of a name (with or without NVML_ERROR_) or a number; UNKNOWN for any other text. */
nvmlReturn_t error_code(const char *name)
{
    char *stop;
    unsigned long number = strtoul(name, &stop, 10);
    if (name[0] && !*stop)
        return (nvmlReturn_t)number;
    if (!strncmp(name, "NVML_ERROR_", 11))
        name += 11;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (!strcmp(errors[i].name, name))
            return errors[i].code;
    fprintf(stderr, "fake nvml: unknown error name %s\n", name);
    return NVML_ERROR_UNKNOWN;
}

void sleep_ms(double milliseconds)
{
    struct timespec left = {(time_t)(milliseconds / 1000), 0};
    left.tv_nsec = (long)((milliseconds - 1000.0 * (double)left.tv_sec) * 1e6);
    while (nanosleep(&left, &left))
        ;
}

u64 now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (u64)now.tv_sec * 1000000 + (u64)now.tv_nsec / 1000;
}

/* "nvmlDeviceGetCount_v2" -> the length of "nvmlDeviceGetCount". */
static size_t base_length(const char *function)
{
    size_t length = strlen(function);
    if (length > 3 && function[length - 3] == '_' && function[length - 2] == 'v')
        return length - 3;
    return length;
}

/* The value of "kind.<function>", with or without the function's version, else of "kind" alone. */
static const char *fault(const Section *section, const char *kind, const char *function)
{
    char key[160];
    const char *value = NULL;
    if (function) {
        snprintf(key, sizeof key, "%s.%s", kind, function);
        value = section_get(section, key);
        if (!value) {
            snprintf(key, sizeof key, "%s.%.*s", kind, (int)base_length(function), function);
            value = section_get(section, key);
        }
    }
    return value ? value : section_get(section, kind);
}

static bool listed(const char *list, const char *function)
{
    size_t base = base_length(function);
    while (list && *list) {
        list += strspn(list, ", ");
        size_t length = strcspn(list, ", ");
        if ((length == strlen(function) || length == base) && !strncmp(list, function, length))
            return true;
        list += length;
    }
    return false;
}

typedef struct {
    const char *hang, *latency, *error;
} Kinds;

static const Kinds of_calls = {"hang", "latency_ms", "error"};
static const Kinds of_init = {"init_hang", "init_latency_ms", "init_error"};

static bool hangs(const Section *section, const Kinds *kinds, const char *function)
{
    const char *value = section ? fault(section, kinds->hang, function) : NULL;
    return value && atoi(value);
}

static double latency(const Section *section, const Kinds *kinds, const char *function)
{
    const char *value = section ? fault(section, kinds->latency, function) : NULL;
    return value ? strtod(value, NULL) : 0;
}

static nvmlReturn_t error_of(const Section *section, const Kinds *kinds, const char *function)
{
    if (!section)
        return NVML_SUCCESS;
    if (function && listed(section_get(section, "not_supported"), function))
        return NVML_ERROR_NOT_SUPPORTED;
    const char *value = fault(section, kinds->error, function);
    return value ? error_code(value) : NVML_SUCCESS;
}

nvmlReturn_t gpu_error(const Gpu *gpu, const char *function)
{
    return error_of(&gpu->values, &of_calls, function);
}

/* Live through the faults; holds no lock and no snapshot while it waits, so other GPUs and the file go on. */
static bool enter(Call *call, const Kinds *kinds, const char *function, const char *uuid)
{
    for (bool slept = false;;) {
        const State *state = state_acquire();
        const Gpu *gpu = uuid ? gpu_by_uuid(state, uuid) : NULL;
        const Section *values = gpu ? &gpu->values : NULL;
        *call = (Call){NVML_SUCCESS, state, gpu};
        if (uuid && !gpu) {
            call->result = NVML_ERROR_GPU_IS_LOST;
        } else {
            double wait = 0;
            if (hangs(&state->global, kinds, function) || hangs(values, kinds, function)) {
                wait = 10;
            } else if (!slept) {
                wait = latency(&state->global, kinds, function) + latency(values, kinds, function);
                slept = true;
            }
            if (wait > 0) {
                state_release(state);
                sleep_ms(wait);
                continue;
            }
            call->result = error_of(&state->global, kinds, function);
            if (call->result == NVML_SUCCESS)
                call->result = error_of(values, kinds, function);
        }
        if (call->result == NVML_SUCCESS)
            return true;
        state_release(state);
        call->state = NULL;
        return false;
    }
}

static bool is_up(void)
{
    pthread_mutex_lock(&lock);
    bool up = initialised > 0;
    pthread_mutex_unlock(&lock);
    return up;
}

static bool is_handle(nvmlDevice_t device)
{
    bool known = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < device_count && !known; i++)
        known = devices[i] == device;
    pthread_mutex_unlock(&lock);
    return known;
}

/* The handle of a UUID: the same one each time, also after the GPU was gone for a while. */
nvmlDevice_t device_handle(const char *uuid)
{
    struct nvmlDevice_st *device = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < device_count && !device; i++)
        if (!strcmp(devices[i]->uuid, uuid))
            device = devices[i];
    if (!device && device_count < sizeof devices / sizeof devices[0]) {
        device = calloc(1, sizeof *device);
        if (device) {
            snprintf(device->uuid, sizeof device->uuid, "%s", uuid);
            devices[device_count++] = device;
        }
    }
    pthread_mutex_unlock(&lock);
    return device;
}

bool begin(Call *call, nvmlDevice_t device, const char *function, const void *out)
{
    *call = (Call){NVML_SUCCESS, NULL, NULL};
    if (!is_up())
        call->result = NVML_ERROR_UNINITIALIZED;
    else if (!out || !is_handle(device))
        call->result = NVML_ERROR_INVALID_ARGUMENT;
    return call->result == NVML_SUCCESS && enter(call, &of_calls, function, device->uuid);
}

bool begin_global(Call *call, const char *function, const void *out)
{
    *call = (Call){NVML_SUCCESS, NULL, NULL};
    if (!is_up())
        call->result = NVML_ERROR_UNINITIALIZED;
    else if (!out)
        call->result = NVML_ERROR_INVALID_ARGUMENT;
    return call->result == NVML_SUCCESS && enter(call, &of_calls, function, NULL);
}

/* A call that was begun without a GPU goes on with one: its faults count too. Ends the call when it fails. */
bool begin_lookup(Call *call, const char *function, const Gpu *gpu)
{
    char uuid[UUID_SIZE];
    snprintf(uuid, sizeof uuid, "%s", gpu->uuid);
    end(call);
    return enter(call, &of_calls, function, uuid);
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
    Call call;
    if (!enter(&call, &of_init, NULL, NULL))
        return call.result;
    pthread_mutex_lock(&lock);
    initialised++;
    pthread_mutex_unlock(&lock);
    return end(&call);
}

nvmlReturn_t library_shutdown(void)
{
    nvmlReturn_t result = NVML_SUCCESS;
    pthread_mutex_lock(&lock);
    if (initialised)
        initialised--;
    else
        result = NVML_ERROR_UNINITIALIZED;
    pthread_mutex_unlock(&lock);
    return result;
}
