/* GPM (profiling metrics): there, but no GPU supports it. */
#include "fake.h"

#include <stdlib.h>

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *gpmSupport)
{
    Call call;
    if (!begin(&call, device, __func__, gpmSupport))
        return call.result;
    if (gpmSupport->version != NVML_GPM_SUPPORT_VERSION)
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    else
        gpmSupport->isSupportedDevice = 0;
    return end(&call);
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *gpmSample)
{
    Call call;
    if (!begin_global(&call, __func__, gpmSample))
        return call.result;
    *gpmSample = calloc(1, 16);
    if (!*gpmSample)
        fail(&call, NVML_ERROR_MEMORY);
    return end(&call);
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t gpmSample)
{
    Call call;
    if (!begin_global(&call, __func__, gpmSample))
        return call.result;
    free(gpmSample);
    return end(&call);
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t gpmSample)
{
    Call call;
    if (!begin(&call, device, __func__, gpmSample))
        return call.result;
    fail(&call, NVML_ERROR_NOT_SUPPORTED);
    return end(&call);
}

nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *metricsGet)
{
    Call call;
    if (!begin_global(&call, __func__, metricsGet))
        return call.result;
    if (metricsGet->version != NVML_GPM_METRICS_GET_VERSION)
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    else
        fail(&call, NVML_ERROR_NOT_SUPPORTED);
    return end(&call);
}
