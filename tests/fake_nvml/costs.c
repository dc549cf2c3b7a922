/* What calls take on a real machine, for realistic=1; README.md says where the numbers come from. */
#include "fake.h"

#include <string.h>

#define USUAL_US 20

static const struct {
    const char *function; /* with every version of it */
    double us;
} costs[] = {
    {"nvmlDeviceGetClockInfo", 1500},
    {"nvmlDeviceGetComputeRunningProcesses", 500},
    {"nvmlDeviceGetDecoderUtilization", 200},
    {"nvmlDeviceGetEncoderUtilization", 200},
    {"nvmlDeviceGetGraphicsRunningProcesses", 500},
    {"nvmlDeviceGetFieldValues", 2}, /* and each field has its own */
    {"nvmlDeviceGetMPSComputeRunningProcesses", 500},
    {"nvmlDeviceGetMemoryInfo", 7},
    {"nvmlDeviceGetPowerUsage", 3300},
    {"nvmlDeviceGetProcessUtilization", 1000},
    {"nvmlDeviceGetTemperature", 230},
    {"nvmlDeviceGetUtilizationRates", 200},
    {"nvmlEventSetCreate", 0}, /* no driver call, or one that waits by itself */
    {"nvmlEventSetFree", 0},
    {"nvmlEventSetWait", 0},
    {"nvmlGpmMetricsGet", 5},
    {"nvmlGpmMigSampleGet", 100},
    {"nvmlGpmSampleAlloc", 1},
    {"nvmlGpmSampleFree", 1},
    {"nvmlGpmSampleGet", 100},
};

static const struct {
    unsigned int id;
    double us;
} field_costs[] = {
    {NVML_FI_DEV_POWER_AVERAGE, 3300},
    {NVML_FI_DEV_POWER_INSTANT, 3},
    {NVML_FI_DEV_PCIE_COUNT_TX_BYTES, 300},
    {NVML_FI_DEV_PCIE_COUNT_RX_BYTES, 300},
};

double usual_cost_us(const char *function, bool realistic)
{
    if (!strcmp(function, "nvmlDeviceGetPcieThroughput"))
        return 20000; /* in any case: it measures for so long */
    if (!realistic)
        return 0;
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
        size_t length = strlen(costs[i].function);
        const char *rest = function + length;
        if (!strncmp(function, costs[i].function, length) && (!*rest || (rest[0] == '_' && rest[1] == 'v')))
            return costs[i].us;
    }
    return USUAL_US;
}

double usual_field_cost_us(unsigned int id)
{
    for (size_t i = 0; i < sizeof field_costs / sizeof field_costs[0]; i++)
        if (field_costs[i].id == id)
            return field_costs[i].us;
    return USUAL_US;
}
