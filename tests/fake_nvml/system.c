/* Starting and stopping NVML, and what belongs to the machine: versions, processes, CPUs. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    copy_text(&call, version, length, global(&call, "driver_version", DRIVER_VERSION));
    return end(&call);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    Call call;
    if (!begin_global(&call, __func__, version))
        return call.result;
    char usual[96];
    snprintf(usual, sizeof usual, NVML_MAJOR ".%s", global(&call, "driver_version", DRIVER_VERSION));
    copy_text(&call, version, length, global(&call, "nvml_version", usual));
    return end(&call);
}

static nvmlReturn_t cuda_version(int *version, const char *function)
{
    Call call;
    if (!begin_global(&call, function, version))
        return call.result;
    *version = atoi(global(&call, "cuda_version", CUDA_VERSION));
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

/* "process_name.<pid>" of the state file, else what that process of this machine calls itself; cut to fit. */
nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    Call call;
    if (!begin_global(&call, __func__, length ? name : NULL))
        return call.result;
    char path[64], own[4096] = "";
    snprintf(path, sizeof path, "process_name.%u", pid);
    const char *text = global(&call, path, NULL);
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    FILE *file = text ? NULL : fopen(path, "re");
    if (file && fread(own, 1, sizeof own - 1, file))
        text = own;
    if (file)
        fclose(file);
    if (text)
        snprintf(name, length, "%s", text);
    else
        fail(&call, NVML_ERROR_NOT_FOUND);
    return end(&call);
}

/* One bit per CPU, in words of unsigned long: those listed, or all that the machine has. */
nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int cpuSetSize, unsigned long *cpuSet)
{
    Call call;
    if (!begin(&call, device, __func__, cpuSetSize ? cpuSet : NULL))
        return call.result;
    const char *text = text_of(&call, "cpu_affinity");
    unsigned int cpus[4096];
    size_t bits = 8 * sizeof *cpuSet, found = 0;
    if (text && !strcmp(text, "all"))
        for (long all = sysconf(_SC_NPROCESSORS_CONF); found < (size_t)all && found < 4096; found++)
            cpus[found] = (unsigned int)found;
    else
        found = number_list(text, cpus, 4096);
    memset(cpuSet, 0, cpuSetSize * sizeof *cpuSet);
    for (size_t i = 0; i < found && i < 4096; i++)
        if (cpus[i] / bits < cpuSetSize)
            cpuSet[cpus[i] / bits] |= 1UL << (cpus[i] % bits);
    return end(&call);
}
