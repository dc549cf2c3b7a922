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
} Process;

static unsigned int parse(Call *call, Process *processes)
{
    unsigned int count = 0;
    const char *text = text_of(call, "processes");
    while (text && *(text += strspn(text, ", ")) && count < MOST) {
        Process *one = &processes[count];
        *one = (Process){.types = "C"};
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

static nvmlReturn_t running(nvmlDevice_t device, const char *function, char type, unsigned int *infoCount,
                            nvmlProcessInfo_t *infos)
{
    Call call;
    if (!begin(&call, device, function, infoCount))
        return call.result;
    Process processes[MOST];
    unsigned int found = 0, all = parse(&call, processes);
    for (unsigned int i = 0; i < all; i++) {
        if (!strchr(processes[i].types, type))
            continue;
        if (infos && found < *infoCount)
            infos[found] = (nvmlProcessInfo_t){processes[i].pid, processes[i].bytes, 0xFFFFFFFF, 0xFFFFFFFF};
        found++;
    }
    if (found > *infoCount)
        fail(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    if (call.result == NVML_SUCCESS || call.result == NVML_ERROR_INSUFFICIENT_SIZE)
        *infoCount = found;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *infoCount,
                                                     nvmlProcessInfo_t *infos)
{
    return running(device, __func__, 'C', infoCount, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int *infoCount,
                                                      nvmlProcessInfo_t *infos)
{
    return running(device, __func__, 'G', infoCount, infos);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *infoCount,
                                                        nvmlProcessInfo_t *infos)
{
    return running(device, __func__, 'M', infoCount, infos);
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *utilization,
                                             unsigned int *processSamplesCount, unsigned long long lastSeenTimeStamp)
{
    Call call;
    if (!begin(&call, device, __func__, processSamplesCount))
        return call.result;
    Process processes[MOST];
    unsigned int found = parse(&call, processes);
    if (!found || lastSeenTimeStamp >= now_us())
        fail(&call, NVML_ERROR_NOT_FOUND);
    else if (!utilization || found > *processSamplesCount)
        fail(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    else
        for (unsigned int i = 0; i < found; i++)
            utilization[i] = (nvmlProcessUtilizationSample_t){.pid = processes[i].pid,
                                                              .timeStamp = now_us(),
                                                              .smUtil = processes[i].sm,
                                                              .memUtil = processes[i].mem,
                                                              .encUtil = processes[i].enc,
                                                              .decUtil = processes[i].dec};
    *processSamplesCount = found;
    return end(&call);
}
