/* How much of a GPU is in use: engines and memory; of a MIG device its memory. */
#include "fake.h"

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    Call call;
    if (!begin(&call, device, __func__, utilization))
        return call.result;
    not_in_mig_mode(&call);
    utilization->gpu = (unsigned int)reading(&call, "utilization_gpu");
    utilization->memory = (unsigned int)reading(&call, "utilization_memory");
    return end(&call);
}

static nvmlReturn_t engine(nvmlDevice_t device, const char *function, const char *key, unsigned int *utilization,
                           unsigned int *period)
{
    Call call;
    if (!begin(&call, device, function, period ? utilization : NULL))
        return call.result;
    not_in_mig_mode(&call);
    *utilization = (unsigned int)reading(&call, key);
    *period = 167000;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned int *utilization,
                                             unsigned int *samplingPeriodUs)
{
    return engine(device, __func__, "utilization_encoder", utilization, samplingPeriodUs);
}

nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, unsigned int *utilization,
                                             unsigned int *samplingPeriodUs)
{
    return engine(device, __func__, "utilization_decoder", utilization, samplingPeriodUs);
}

nvmlReturn_t nvmlDeviceGetJpgUtilization(nvmlDevice_t device, unsigned int *utilization,
                                         unsigned int *samplingPeriodUs)
{
    return engine(device, __func__, "utilization_jpg", utilization, samplingPeriodUs);
}

nvmlReturn_t nvmlDeviceGetOfaUtilization(nvmlDevice_t device, unsigned int *utilization,
                                         unsigned int *samplingPeriodUs)
{
    return engine(device, __func__, "utilization_ofa", utilization, samplingPeriodUs);
}

/* What is free is what is left, unless the file says otherwise. */
static u64 free_of(Call *call, const char *key, u64 total, u64 taken)
{
    if (section_get(&call->gpu->values, key))
        return reading(call, key);
    return total > taken ? total - taken : 0;
}

typedef struct {
    u64 total, reserved, used, free;
} Memory;

static Memory memory_of(Call *call)
{
    Memory memory = {0};
    if (call->mig) {
        memory.total = mig_memory(call);
        memory.reserved = mig_reading(call, "memory_reserved");
        memory.used = mig_reading(call, "memory_used");
        u64 taken = memory.used + memory.reserved;
        memory.free = memory.total > taken ? memory.total - taken : 0;
    } else {
        memory.total = reading(call, "memory_total");
        memory.reserved = reading(call, "memory_reserved");
        memory.used = reading(call, "memory_used");
        memory.free = free_of(call, "memory_free", memory.total, memory.used + memory.reserved);
    }
    return memory;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    Call call;
    if (!begin_also_mig(&call, device, __func__, memory))
        return call.result;
    Memory found = memory_of(&call);
    *memory = (nvmlMemory_t){.total = found.total, .used = found.used + found.reserved, .free = found.free};
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    Call call;
    if (!begin_also_mig(&call, device, __func__, memory))
        return call.result;
    if (memory->version != nvmlMemory_v2) {
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    } else {
        Memory found = memory_of(&call);
        *memory = (nvmlMemory_v2_t){memory->version, found.total, found.reserved, found.free, found.used};
    }
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *bar1Memory)
{
    Call call;
    if (!begin(&call, device, __func__, bar1Memory))
        return call.result;
    bar1Memory->bar1Total = reading(&call, "bar1_total");
    bar1Memory->bar1Used = reading(&call, "bar1_used");
    bar1Memory->bar1Free = free_of(&call, "bar1_free", bar1Memory->bar1Total, bar1Memory->bar1Used);
    return end(&call);
}
