/* Clocks: now, at most, those that may be asked for, and asking for them. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>

static nvmlReturn_t clock_of(nvmlDevice_t device, const char *function, const char *prefix, nvmlClockType_t type,
                             unsigned int *clock)
{
    static const char *const names[NVML_CLOCK_COUNT] = {"graphics", "sm", "mem", "video"};
    char key[48];
    if (type >= NVML_CLOCK_COUNT)
        return read_uint(device, function, "none", NULL);
    snprintf(key, sizeof key, "%s%s_clock", prefix, names[type]);
    return read_uint(device, function, key, clock);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *clock)
{
    return clock_of(device, __func__, "", type, clock);
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *clock)
{
    return clock_of(device, __func__, "max_", type, clock);
}

nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, nvmlClockType_t clockType, unsigned int *clockMHz)
{
    return clock_of(device, __func__, "max_", clockType, clockMHz);
}

nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(nvmlDevice_t device, nvmlClockType_t clockType,
                                                   unsigned int *clockMHz)
{
    return clock_of(device, __func__, "app_", clockType, clockMHz);
}

nvmlReturn_t nvmlDeviceGetApplicationsClock(nvmlDevice_t device, nvmlClockType_t clockType, unsigned int *clockMHz)
{
    nvmlReturn_t result = clock_of(device, __func__, "app_", clockType, clockMHz);
    if (result == NVML_SUCCESS) {
        unsigned int set = clockType == NVML_CLOCK_MEM ? __atomic_load_n(&device->app_clock_mem, __ATOMIC_RELAXED)
                                                       : __atomic_load_n(&device->app_clock_graphics, __ATOMIC_RELAXED);
        *clockMHz = set ? set : *clockMHz;
    }
    return result;
}

/* How many there are, then as many when they fit. */
static void give_list(Call *call, const unsigned int *from, size_t found, unsigned int *count, unsigned int *to)
{
    if (call->result != NVML_SUCCESS)
        return;
    if (*count < found || !to)
        fail(call, NVML_ERROR_INSUFFICIENT_SIZE);
    else
        for (size_t i = 0; i < found; i++)
            to[i] = from[i];
    *count = (unsigned int)found;
}

nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count, unsigned int *clocksMHz)
{
    Call call;
    if (!begin(&call, device, __func__, count))
        return call.result;
    unsigned int clocks[32];
    size_t found = number_list(text_of(&call, "supported_memory_clocks"), clocks, 32);
    give_list(&call, clocks, found < 32 ? found : 32, count, clocksMHz);
    return end(&call);
}

static bool has_memory_clock(Call *call, unsigned int wanted)
{
    unsigned int clocks[32];
    size_t found = number_list(text_of(call, "supported_memory_clocks"), clocks, 32);
    for (size_t i = 0; i < found && i < 32; i++)
        if (clocks[i] == wanted)
            return true;
    return false;
}

nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memoryClockMHz,
                                                  unsigned int *count, unsigned int *clocksMHz)
{
    Call call;
    if (!begin(&call, device, __func__, count))
        return call.result;
    if (!has_memory_clock(&call, memoryClockMHz))
        fail(&call, NVML_ERROR_NOT_FOUND);
    unsigned int clocks[512];
    size_t found = 0;
    u64 least = reading(&call, "min_graphics_clock");
    for (u64 clock = reading(&call, "max_graphics_clock"); clock >= least && clock >= 15 && found < 512; clock -= 15)
        clocks[found++] = (unsigned int)clock;
    give_list(&call, clocks, found, count, clocksMHz);
    return end(&call);
}

static void set_clocks(nvmlDevice_t device, unsigned int memory, unsigned int graphics)
{
    __atomic_store_n(&device->app_clock_mem, memory, __ATOMIC_RELAXED);
    __atomic_store_n(&device->app_clock_graphics, graphics, __ATOMIC_RELAXED);
}

nvmlReturn_t nvmlDeviceSetApplicationsClocks(nvmlDevice_t device, unsigned int memClockMHz,
                                             unsigned int graphicsClockMHz)
{
    Call call;
    if (!begin(&call, device, __func__, device))
        return call.result;
    reading(&call, "app_graphics_clock");
    u64 least = reading(&call, "min_graphics_clock"), most = reading(&call, "max_graphics_clock");
    if (!has_memory_clock(&call, memClockMHz) || graphicsClockMHz < least || graphicsClockMHz > most)
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (call.result == NVML_SUCCESS)
        set_clocks(device, memClockMHz, graphicsClockMHz);
    return end(&call);
}

nvmlReturn_t nvmlDeviceResetApplicationsClocks(nvmlDevice_t device)
{
    Call call;
    if (!begin(&call, device, __func__, device))
        return call.result;
    reading(&call, "app_graphics_clock");
    if (call.result == NVML_SUCCESS)
        set_clocks(device, 0, 0);
    return end(&call);
}
