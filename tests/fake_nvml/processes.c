/* Processes on a GPU: "processes=pid:bytes[:types[:sm[:mem[:enc[:dec]]]]] ..." of the state file. */
#include "fake.h"

#include <stdio.h>
#include <string.h>

#define MOST 256

typedef struct {
    unsigned int pid;
    u64 bytes;
    char types[4]; /* C compute, G graphics, M MPS, or several of them */
    unsigned int sm, mem, enc, dec;
    unsigned int gi, ci; /* the MIG device that it runs on */
} Process;

static unsigned int parse(Call *call, const char *text, unsigned int gi, unsigned int ci, Process *processes)
{
    unsigned int count = 0;
    while (text && *(text += strspn(text, ", ")) && count < MOST) {
        Process *one = &processes[count];
        *one = (Process){.types = "C", .gi = gi, .ci = ci};
        int got = sscanf(text, "%u:%llu:%3[CGM]:%u:%u:%u:%u", &one->pid, &one->bytes, one->types, &one->sm, &one->mem,
                         &one->enc, &one->dec);
        if (got < 2) {
            fprintf(stderr, "fake nvml: processes: %s is no pid:bytes\n", text);
            fail(call, NVML_ERROR_UNKNOWN);
            return 0;
        }
        count++;
        text += strcspn(text, ", ");
    }
    return count;
}

/* Those of a MIG device, or of a GPU and all its instances. */
static unsigned int list(Call *call, Process *processes)
{
    unsigned int count = 0;
    if (!call->mig)
        count = parse(call, text_of(call, "processes"), NO_INSTANCE, NO_INSTANCE, processes);
    for (unsigned int i = 0; i < call->gpu->mig_count && count < MOST; i++) {
        const Mig *mig = &call->gpu->migs[i];
        if (call->mig && call->mig != mig)
            continue;
        char key[48];
        snprintf(key, sizeof key, "mig.%u.processes", mig->gi);
        Process own[MOST];
        unsigned int found = parse(call, section_get(&call->gpu->values, key), mig->gi, mig->ci, own);
        for (unsigned int j = 0; j < found && count < MOST; j++)
            processes[count++] = own[j];
    }
    return count;
}

/* The first version of the struct has no instances. */
static nvmlReturn_t running(nvmlDevice_t device, const char *function, char type, unsigned int *infoCount, void *infos,
                            bool first_version)
{
    Call call;
    if (!begin_also_mig(&call, device, function, infoCount))
        return call.result;
    Process processes[MOST];
    unsigned int found = 0, all = list(&call, processes);
    for (unsigned int i = 0; i < all; i++) {
        const Process *one = &processes[i];
        if (!strchr(one->types, type))
            continue;
        if (infos && found < *infoCount && first_version)
            ((nvmlProcessInfo_v1_t *)infos)[found] = (nvmlProcessInfo_v1_t){one->pid, one->bytes};
        else if (infos && found < *infoCount)
            ((nvmlProcessInfo_t *)infos)[found] = (nvmlProcessInfo_t){one->pid, one->bytes, one->gi, one->ci};
        found++;
    }
    if (found > *infoCount)
        fail(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    else if (found && !infos)
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (call.result == NVML_SUCCESS || call.result == NVML_ERROR_INSUFFICIENT_SIZE)
        *infoCount = found;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned int *infoCount,
                                                  nvmlProcessInfo_v1_t *infos)
{
    return running(device, __func__, 'C', infoCount, infos, true);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *infoCount,
                                                     nvmlProcessInfo_v2_t *infos)
{
    return running(device, __func__, 'C', infoCount, infos, false);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *infoCount,
                                                     nvmlProcessInfo_t *infos)
{
    return running(device, __func__, 'C', infoCount, infos, false);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned int *infoCount,
                                                   nvmlProcessInfo_v1_t *infos)
{
    return running(device, __func__, 'G', infoCount, infos, true);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, unsigned int *infoCount,
                                                      nvmlProcessInfo_v2_t *infos)
{
    return running(device, __func__, 'G', infoCount, infos, false);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int *infoCount,
                                                      nvmlProcessInfo_t *infos)
{
    return running(device, __func__, 'G', infoCount, infos, false);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(nvmlDevice_t device, unsigned int *infoCount,
                                                     nvmlProcessInfo_v1_t *infos)
{
    return running(device, __func__, 'M', infoCount, infos, true);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *infoCount,
                                                        nvmlProcessInfo_v2_t *infos)
{
    return running(device, __func__, 'M', infoCount, infos, false);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *infoCount,
                                                        nvmlProcessInfo_t *infos)
{
    return running(device, __func__, 'M', infoCount, infos, false);
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *utilization,
                                             unsigned int *processSamplesCount, unsigned long long lastSeenTimeStamp)
{
    Call call;
    if (!begin(&call, device, __func__, processSamplesCount))
        return call.result;
    Process processes[MOST];
    unsigned int found = list(&call, processes);
    if (!found || lastSeenTimeStamp >= now_us())
        fail(&call, NVML_ERROR_NOT_FOUND);
    else if (!utilization || found > *processSamplesCount)
        fail(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    else
        not_in_mig_mode(&call);
    for (unsigned int i = 0; i < found && call.result == NVML_SUCCESS; i++)
        utilization[i] = (nvmlProcessUtilizationSample_t){.pid = processes[i].pid,
                                                          .timeStamp = now_us(),
                                                          .smUtil = processes[i].sm,
                                                          .memUtil = processes[i].mem,
                                                          .encUtil = processes[i].enc,
                                                          .decUtil = processes[i].dec};
    *processSamplesCount = found;
    return end(&call);
}
