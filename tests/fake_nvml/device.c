/* Readings of a GPU at work: temperature, power, why its clocks are what they are. */
#include "fake.h"

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
