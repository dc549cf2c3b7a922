/* Starting and stopping NVML, and what belongs to the machine and to no GPU. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>

nvmlReturn_t nvmlInit(void)
{
    return library_init();
}

nvmlReturn_t nvmlInit_v2(void)
{
    return library_init();
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    return library_init();
}

nvmlReturn_t nvmlShutdown(void)
{
    return library_shutdown();
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    return error_text(result);
}

static const char *global(const Call *call, const char *key, const char *otherwise)
{
    const char *value = section_get(&call->state->global, key);
    return value ? value : otherwise;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    Call call;
    if (!begin_global(&call, __func__, version))
        return call.result;
    copy_text(&call, version, length, global(&call, "driver_version", "550.90.07"));
    return end(&call);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    Call call;
    if (!begin_global(&call, __func__, version))
        return call.result;
    char usual[96];
    snprintf(usual, sizeof usual, "12.%s", global(&call, "driver_version", "550.90.07"));
    copy_text(&call, version, length, global(&call, "nvml_version", usual));
    return end(&call);
}

static nvmlReturn_t cuda_version(int *version, const char *function)
{
    Call call;
    if (!begin_global(&call, function, version))
        return call.result;
    *version = atoi(global(&call, "cuda_version", "12040"));
    return end(&call);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *cudaDriverVersion)
{
    return cuda_version(cudaDriverVersion, __func__);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *cudaDriverVersion)
{
    return cuda_version(cudaDriverVersion, __func__);
}
