/* The faults that the state file asks for: calls that hang, take their time or fail. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SPIN_US 100

static u64 clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (u64)now.tv_sec * 1000000 + (u64)now.tv_nsec / 1000;
}

u64 now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

u64 monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* A short wait uses the CPU, as a call into the driver does, and is exact; a long one sleeps. */
void pause_us(double microseconds)
{
    if (microseconds < SPIN_US) {
        u64 end = monotonic_us() + (u64)microseconds;
        while (monotonic_us() < end)
            ;
        return;
    }
    struct timespec left = {(time_t)(microseconds / 1e6), 0};
    left.tv_nsec = (long)((microseconds - 1e6 * (double)left.tv_sec) * 1e3);
    while (nanosleep(&left, &left))
        ;
}

/* "nvmlDeviceGetCount_v2" -> the length of "nvmlDeviceGetCount". */
static size_t base_length(const char *function)
{
    size_t length = strlen(function);
    if (length > 3 && function[length - 3] == '_' && function[length - 2] == 'v')
        return length - 3;
    return length;
}

/* The value of "kind.<function>", with or without the function's version. */
static const char *of_function(const Section *section, const char *kind, const char *function)
{
    char key[160];
    snprintf(key, sizeof key, "%s.%s", kind, function);
    const char *value = section_get(section, key);
    if (!value) {
        snprintf(key, sizeof key, "%s.%.*s", kind, (int)base_length(function), function);
        value = section_get(section, key);
    }
    return value;
}

static const char *fault(const Section *section, const char *kind, const char *function)
{
    const char *value = of_function(section, kind, function);
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

bool hangs(const Section *section, const char *function)
{
    const char *value = section_has(section, HANG) ? fault(section, "hang", function) : NULL;
    return value && atoi(value);
}

/* What the section says, in microseconds; negative when it says nothing. */
static double latency_of(const Section *section, const char *function)
{
    if (!section_has(section, LATENCY))
        return -1;
    const char *us = of_function(section, "latency_us", function);
    const char *ms = us ? NULL : of_function(section, "latency_ms", function);
    if (!us && !ms)
        us = section_get(section, "latency_us");
    if (!us && !ms)
        ms = section_get(section, "latency_ms");
    return us ? strtod(us, NULL) : ms ? 1000 * strtod(ms, NULL) : -1;
}

/* The machine's and the GPU's add up; when neither says anything, the call takes what it usually takes.
 * Without a state: the GPU's alone. */
double latency_us(const State *state, const Gpu *gpu, const char *function)
{
    if (!state)
        return latency_of(&gpu->values, function);
    double all = latency_of(&state->global, function);
    double own = gpu ? latency_of(&gpu->values, function) : -1;
    if (all < 0 && own < 0)
        return usual_cost_us(function, state->realistic);
    return (all > 0 ? all : 0) + (own > 0 ? own : 0);
}

nvmlReturn_t error_of(const Section *section, const char *function)
{
    if (section_has(section, NOT_SUPPORTED) && listed(section_get(section, "not_supported"), function))
        return NVML_ERROR_NOT_SUPPORTED;
    const char *value = section_has(section, ERROR) ? fault(section, "error", function) : NULL;
    return value ? error_code(value) : NVML_SUCCESS;
}
