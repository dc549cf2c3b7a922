/* Readings of a GPU at work: temperature, power, clocks, utilization, memory, PCIe. */
#include "fake.h"

#include <string.h>

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensorType, unsigned int *temp)
{
    return read_uint(device, __func__, "temperature", sensorType == NVML_TEMPERATURE_GPU ? temp : NULL);
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
    Call call;
    if (!begin(&call, device, __func__, temperature))
        return call.result;
    if (temperature->version != nvmlTemperature_v1)
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    else if (temperature->sensorType != NVML_TEMPERATURE_GPU)
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    else
        temperature->temperature = (int)reading(&call, "temperature");
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, nvmlTemperatureThresholds_t thresholdType,
                                               unsigned int *temp)
{
    static const char *const keys[NVML_TEMPERATURE_THRESHOLD_COUNT] = {
        [NVML_TEMPERATURE_THRESHOLD_SHUTDOWN] = "shutdown_temperature",
        [NVML_TEMPERATURE_THRESHOLD_SLOWDOWN] = "slowdown_temperature",
        [NVML_TEMPERATURE_THRESHOLD_MEM_MAX] = "memory_max_temperature",
        [NVML_TEMPERATURE_THRESHOLD_GPU_MAX] = "gpu_max_temperature",
    };
    if (thresholdType >= NVML_TEMPERATURE_THRESHOLD_COUNT)
        temp = NULL;
    const char *key = temp ? keys[thresholdType] : NULL;
    return read_uint(device, __func__, key ? key : "none", temp);
}

nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_t *marginTempInfo)
{
    Call call;
    if (!begin(&call, device, __func__, marginTempInfo))
        return call.result;
    if (marginTempInfo->version != nvmlMarginTemperature_v1)
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    else
        marginTempInfo->marginTemperature = (int)reading(&call, "margin_temperature");
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *power)
{
    return read_uint(device, __func__, "power_mw", power);
}

nvmlReturn_t nvmlDeviceGetPowerManagementMode(nvmlDevice_t device, nvmlEnableState_t *mode)
{
    return read_uint(device, __func__, "power_management_mode", (unsigned int *)mode);
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, unsigned int *limit)
{
    return read_uint(device, __func__, "power_limit_mw", limit);
}

nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned int *defaultLimit)
{
    return read_uint(device, __func__, "power_default_limit_mw", defaultLimit);
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *minLimit,
                                                          unsigned int *maxLimit)
{
    Call call;
    if (!begin(&call, device, __func__, maxLimit ? minLimit : NULL))
        return call.result;
    *minLimit = (unsigned int)reading(&call, "power_min_limit_mw");
    *maxLimit = (unsigned int)reading(&call, "power_max_limit_mw");
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *limit)
{
    return read_uint(device, __func__, "enforced_power_limit_mw", limit);
}

nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy)
{
    return read_u64(device, __func__, "energy_mj", energy);
}

nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t *pState)
{
    return read_uint(device, __func__, "pstate", (unsigned int *)pState);
}

nvmlReturn_t nvmlDeviceGetPowerState(nvmlDevice_t device, nvmlPstates_t *pState)
{
    return read_uint(device, __func__, "pstate", (unsigned int *)pState);
}

nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, unsigned long long *clocksThrottleReasons)
{
    return read_u64(device, __func__, "clocks_event_reasons", clocksThrottleReasons);
}

nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device, unsigned long long *clocksEventReasons)
{
    return read_u64(device, __func__, "clocks_event_reasons", clocksEventReasons);
}

nvmlReturn_t nvmlDeviceGetSupportedClocksThrottleReasons(nvmlDevice_t device,
                                                         unsigned long long *supportedClocksThrottleReasons)
{
    return read_u64(device, __func__, "supported_clocks_event_reasons", supportedClocksThrottleReasons);
}

nvmlReturn_t nvmlDeviceGetSupportedClocksEventReasons(nvmlDevice_t device,
                                                      unsigned long long *supportedClocksEventReasons)
{
    return read_u64(device, __func__, "supported_clocks_event_reasons", supportedClocksEventReasons);
}

nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, nvmlPerfPolicyType_t perfPolicyType,
                                          nvmlViolationTime_t *violTime)
{
    static const char *const keys[NVML_PERF_POLICY_COUNT] = {
        [NVML_PERF_POLICY_POWER] = "violation_power_ns",
        [NVML_PERF_POLICY_THERMAL] = "violation_thermal_ns",
        [NVML_PERF_POLICY_SYNC_BOOST] = "violation_sync_boost_ns",
        [NVML_PERF_POLICY_BOARD_LIMIT] = "violation_board_limit_ns",
        [NVML_PERF_POLICY_LOW_UTILIZATION] = "violation_low_utilization_ns",
        [NVML_PERF_POLICY_RELIABILITY] = "violation_reliability_ns",
        [NVML_PERF_POLICY_TOTAL_APP_CLOCKS] = "violation_app_clocks_ns",
        [NVML_PERF_POLICY_TOTAL_BASE_CLOCKS] = "violation_base_clocks_ns",
    };
    const char *key = perfPolicyType < NVML_PERF_POLICY_COUNT ? keys[perfPolicyType] : NULL;
    Call call;
    if (!begin(&call, device, __func__, key ? violTime : NULL))
        return call.result;
    violTime->referenceTime = now_us();
    violTime->violationTime = reading(&call, key);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    Call call;
    if (!begin(&call, device, __func__, utilization))
        return call.result;
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

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    Call call;
    if (!begin(&call, device, __func__, memory))
        return call.result;
    memory->total = reading(&call, "memory_total");
    memory->used = reading(&call, "memory_used") + reading(&call, "memory_reserved");
    memory->free = free_of(&call, "memory_free", memory->total, memory->used);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    Call call;
    if (!begin(&call, device, __func__, memory))
        return call.result;
    if (memory->version != nvmlMemory_v2) {
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
        return end(&call);
    }
    memory->total = reading(&call, "memory_total");
    memory->reserved = reading(&call, "memory_reserved");
    memory->used = reading(&call, "memory_used");
    memory->free = free_of(&call, "memory_free", memory->total, memory->used + memory->reserved);
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

nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device, unsigned int *speed)
{
    return read_uint(device, __func__, "fan_speed", speed);
}

nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, unsigned int *speed)
{
    Call call;
    if (!begin(&call, device, __func__, speed))
        return call.result;
    *speed = (unsigned int)link_reading(&call, "fan_speed", fan);
    if (fan >= reading(&call, "fans"))
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, unsigned int *numFans)
{
    return read_uint(device, __func__, "fans", numFans);
}

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode)
{
    return read_uint(device, __func__, "compute_mode", (unsigned int *)mode);
}

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t *mode)
{
    return read_uint(device, __func__, "persistence_mode", (unsigned int *)mode);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, unsigned int *currLinkGen)
{
    return read_uint(device, __func__, "pcie_link_gen", currLinkGen);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, unsigned int *maxLinkGen)
{
    return read_uint(device, __func__, "pcie_link_gen_max", maxLinkGen);
}

nvmlReturn_t nvmlDeviceGetGpuMaxPcieLinkGeneration(nvmlDevice_t device, unsigned int *maxLinkGenDevice)
{
    return read_uint(device, __func__, "pcie_link_gen_max", maxLinkGenDevice);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, unsigned int *currLinkWidth)
{
    return read_uint(device, __func__, "pcie_link_width", currLinkWidth);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, unsigned int *maxLinkWidth)
{
    return read_uint(device, __func__, "pcie_link_width_max", maxLinkWidth);
}

nvmlReturn_t nvmlDeviceGetPcieReplayCounter(nvmlDevice_t device, unsigned int *value)
{
    return read_uint(device, __func__, "pcie_replay_counter", value);
}

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter, unsigned int *value)
{
    const char *key = counter == NVML_PCIE_UTIL_TX_BYTES ? "pcie_tx_kbps" : "pcie_rx_kbps";
    return read_uint(device, __func__, key, counter < NVML_PCIE_UTIL_COUNT ? value : NULL);
}
