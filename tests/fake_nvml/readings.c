/* Values of the GPU of a call, and the many NVML functions that return just one of them are written with these. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number as the state file writes it: decimal, 0x..., or with MiB behind it. */
static u64 number(Call *call, const char *key, const char *text)
{
    char *stop;
    u64 value = strtoull(text, &stop, 0);
    if (stop != text && !strcmp(stop, "MiB"))
        return value << 20;
    if (stop == text || *stop) {
        fprintf(stderr, "fake nvml: %s=%s is no number\n", key, text);
        fail(call, NVML_ERROR_UNKNOWN);
    }
    return value;
}

/* A key's text, NULL (and NOT_SUPPORTED) when it is absent or N/A. */
const char *text_of(Call *call, const char *key)
{
    const char *text = section_get(&call->gpu->values, key);
    if (!text || !strcmp(text, "N/A")) {
        fail(call, NVML_ERROR_NOT_SUPPORTED);
        return NULL;
    }
    return text;
}

u64 reading(Call *call, const char *key)
{
    const char *text = text_of(call, key);
    return text ? number(call, key, text) : 0;
}

/* A reading of one part of the GPU (an NVLink, a fan): "key.<part>" if the file has it, else "key". */
u64 link_reading(Call *call, const char *key, unsigned int link)
{
    if (!section_has(&call->gpu->values, PART))
        return reading(call, key);
    char own[96];
    snprintf(own, sizeof own, "%s.%u", key, link);
    return reading(call, section_get(&call->gpu->values, own) ? own : key);
}

/* A reading of the call's MIG device: of its GPU instance, none is 0. */
u64 mig_reading(Call *call, const char *key)
{
    char own[96];
    snprintf(own, sizeof own, "mig.%u.%s", call->mig->gi, key);
    return section_get(&call->gpu->values, own) ? reading(call, own) : 0;
}

/* A number that may have a fraction, or nan. */
double number_of(Call *call, const char *key, const char *text)
{
    char *stop;
    double value = strtod(text, &stop);
    if (!strcmp(text, "N/A")) {
        fail(call, NVML_ERROR_NOT_SUPPORTED);
    } else if (stop == text || *stop) {
        fprintf(stderr, "fake nvml: %s=%s is no number\n", key, text);
        fail(call, NVML_ERROR_UNKNOWN);
    }
    return value;
}

/* "On MIG-enabled GPUs, querying ... is not currently supported", says nvml.h of some readings. */
void not_in_mig_mode(Call *call)
{
    if (call->gpu->mig_mode)
        fail(call, NVML_ERROR_NOT_SUPPORTED);
}

bool link_usable(Call *call, unsigned int link)
{
    u64 count = reading(call, "nvlink_count");
    if (call->result == NVML_SUCCESS && link >= count)
        fail(call, NVML_ERROR_INVALID_ARGUMENT);
    return call->result == NVML_SUCCESS;
}

/* ECC errors of one memory; without ECC there are none to count. DRAM has what is not in SRAM. */
u64 ecc_reading(Call *call, nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter, int location)
{
    const char *when = counter == NVML_VOLATILE_ECC ? "volatile" : "aggregate";
    const char *what = type == NVML_MEMORY_ERROR_TYPE_CORRECTED ? "sbe" : "dbe";
    if (type >= NVML_MEMORY_ERROR_TYPE_COUNT || counter >= NVML_ECC_COUNTER_TYPE_COUNT)
        fail(call, NVML_ERROR_INVALID_ARGUMENT);
    else if (!reading(call, "ecc_mode"))
        fail(call, NVML_ERROR_NOT_SUPPORTED);
    char total_key[48], sram_key[48];
    snprintf(total_key, sizeof total_key, "ecc_%s_%s", when, what);
    snprintf(sram_key, sizeof sram_key, "ecc_%s_%s_sram", when, what);
    u64 total = reading(call, total_key);
    u64 sram = reading(call, sram_key);
    switch (location) {
    case ECC_TOTAL:
        return total;
    case NVML_MEMORY_LOCATION_SRAM:
        return sram;
    case NVML_MEMORY_LOCATION_DRAM:
        return total > sram ? total - sram : 0;
    default:
        fail(call, NVML_ERROR_NOT_SUPPORTED);
        return 0;
    }
}

void copy_text(Call *call, char *to, unsigned int size, const char *text)
{
    if (!text)
        return;
    if (strlen(text) >= size)
        fail(call, NVML_ERROR_INSUFFICIENT_SIZE);
    else
        memcpy(to, text, strlen(text) + 1);
}

/* "9,12-14" -> 9 12 13 14; returns how many there are, also beyond those that fit. */
size_t number_list(const char *text, unsigned int *numbers, size_t most)
{
    size_t count = 0;
    while (text && *text) {
        char *stop;
        unsigned long first = strtoul(text, &stop, 10);
        if (stop == text)
            break;
        unsigned long last = *stop == '-' ? strtoul(stop + 1, &stop, 10) : first;
        for (; first <= last; first++, count++)
            if (count < most)
                numbers[count] = (unsigned int)first;
        text = stop + strspn(stop, ", ");
    }
    return count;
}

nvmlReturn_t read_uint(nvmlDevice_t device, const char *function, const char *key, unsigned int *out)
{
    u64 value;
    nvmlReturn_t result = read_u64(device, function, key, out ? &value : NULL);
    if (result == NVML_SUCCESS)
        *out = (unsigned int)value;
    return result;
}

nvmlReturn_t read_u64(nvmlDevice_t device, const char *function, const char *key, u64 *out)
{
    Call call;
    if (!begin(&call, device, function, out))
        return call.result;
    *out = reading(&call, key);
    return end(&call);
}

nvmlReturn_t read_text(nvmlDevice_t device, const char *function, const char *key, char *to, unsigned int size)
{
    Call call;
    if (!begin(&call, device, function, to))
        return call.result;
    copy_text(&call, to, size, text_of(&call, key));
    return end(&call);
}
