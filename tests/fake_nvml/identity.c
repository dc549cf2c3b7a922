/* Which GPUs there are, their handles, and what never changes about one. */
#include "fake.h"

#include <stdio.h>
#include <string.h>

static nvmlReturn_t count(unsigned int *found, const char *function)
{
    Call call;
    if (!begin_global(&call, function, found))
        return call.result;
    *found = 0;
    for (unsigned int i = 0; i < call.state->gpu_count; i++)
        *found += !call.state->gpus[i].missing;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int *deviceCount)
{
    return count(deviceCount, __func__);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount)
{
    return count(deviceCount, __func__);
}

static nvmlReturn_t hand_out(Call *call, const char *function, const Gpu *gpu, nvmlReturn_t absent,
                             nvmlDevice_t *device)
{
    if (!gpu) {
        fail(call, absent);
    } else if (begin_lookup(call, function, gpu)) {
        *device = device_handle(call->gpu->uuid, NO_INSTANCE, NO_INSTANCE);
        if (!*device)
            fail(call, NVML_ERROR_MEMORY);
    }
    return end(call);
}

static nvmlReturn_t by_index(unsigned int index, nvmlDevice_t *device, const char *function)
{
    Call call;
    if (!begin_global(&call, function, device))
        return call.result;
    const Gpu *found = NULL;
    for (unsigned int i = 0, present = 0; i < call.state->gpu_count && !found; i++)
        if (!call.state->gpus[i].missing && present++ == index)
            found = &call.state->gpus[i];
    return hand_out(&call, function, found, NVML_ERROR_INVALID_ARGUMENT, device);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    return by_index(index, device, __func__);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    return by_index(index, device, __func__);
}

/* Also of a MIG device. */
nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    Call call;
    if (!begin_global(&call, __func__, uuid ? (const void *)device : NULL))
        return call.result;
    for (unsigned int i = 0; i < call.state->gpu_count; i++) {
        const Gpu *gpu = &call.state->gpus[i];
        for (unsigned int j = 0; j < gpu->mig_count && !gpu->missing; j++)
            if (!strcmp(gpu->migs[j].uuid, uuid)) {
                *device = device_handle(gpu->uuid, gpu->migs[j].gi, gpu->migs[j].ci);
                fail(&call, *device ? NVML_SUCCESS : NVML_ERROR_MEMORY);
                return end(&call);
            }
    }
    return hand_out(&call, __func__, gpu_by_uuid(call.state, uuid), NVML_ERROR_NOT_FOUND, device);
}

static void serial_of(const Gpu *gpu, char *to, size_t size)
{
    const char *set = section_get(&gpu->values, "serial");
    if (set)
        snprintf(to, size, "%s", set);
    else
        snprintf(to, size, "%u", 1650000001 + gpu->position);
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    Call call;
    if (!begin_global(&call, __func__, serial ? (const void *)device : NULL))
        return call.result;
    const Gpu *found = NULL;
    for (unsigned int i = 0; i < call.state->gpu_count && !found; i++) {
        char own[NVML_DEVICE_SERIAL_BUFFER_SIZE];
        serial_of(&call.state->gpus[i], own, sizeof own);
        if (!call.state->gpus[i].missing && !strcmp(own, serial))
            found = &call.state->gpus[i];
    }
    return hand_out(&call, __func__, found, NVML_ERROR_NOT_FOUND, device);
}

/* Domain, bus and device of "00000000:1A:00.0" or "0000:1a:00.0". */
static bool pci_parse(const char *text, unsigned int at[3])
{
    return sscanf(text, "%x:%x:%x", &at[0], &at[1], &at[2]) == 3;
}

static void pci_of(const Gpu *gpu, unsigned int at[3])
{
    const char *set = section_get(&gpu->values, "pci_bus_id");
    if (!set || !pci_parse(set, at)) {
        at[0] = at[2] = 0;
        at[1] = (0x1A + 0x0B * gpu->position) & 0xFF;
    }
}

static nvmlReturn_t by_bus_id(const char *bus_id, nvmlDevice_t *device, const char *function)
{
    Call call;
    if (!begin_global(&call, function, bus_id ? (const void *)device : NULL))
        return call.result;
    unsigned int wanted[3], own[3];
    if (!pci_parse(bus_id, wanted)) {
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
        return end(&call);
    }
    const Gpu *found = NULL;
    for (unsigned int i = 0; i < call.state->gpu_count && !found; i++) {
        pci_of(&call.state->gpus[i], own);
        if (!call.state->gpus[i].missing && !memcmp(own, wanted, sizeof own))
            found = &call.state->gpus[i];
    }
    return hand_out(&call, function, found, NVML_ERROR_NOT_FOUND, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *pciBusId, nvmlDevice_t *device)
{
    return by_bus_id(pciBusId, device, __func__);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *pciBusId, nvmlDevice_t *device)
{
    return by_bus_id(pciBusId, device, __func__);
}

/* Older versions of the struct end earlier: only their bytes are written. */
static nvmlReturn_t pci_info(nvmlDevice_t device, nvmlPciInfo_t *pci, size_t size, const char *function)
{
    Call call;
    if (!begin(&call, device, function, pci))
        return call.result;
    unsigned int at[3];
    pci_of(call.gpu, at);
    nvmlPciInfo_t info = {.domain = at[0], .bus = at[1], .device = at[2]};
    info.pciDeviceId = (unsigned int)reading(&call, "pci_device_id");
    info.pciSubSystemId = (unsigned int)reading(&call, "pci_subsystem_id");
    snprintf(info.busId, sizeof info.busId, NVML_DEVICE_PCI_BUS_ID_FMT, at[0], at[1] & 0xFF, at[2] & 0xFF);
    snprintf(info.busIdLegacy, sizeof info.busIdLegacy, NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT, at[0] & 0xFFFF,
             at[1] & 0xFF, at[2] & 0xFF);
    memcpy(pci, &info, size);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return pci_info(device, pci, offsetof(nvmlPciInfo_t, pciSubSystemId), __func__);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return pci_info(device, pci, offsetof(nvmlPciInfo_t, busId), __func__);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return pci_info(device, pci, sizeof *pci, __func__);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    Call call;
    if (!begin_also_mig(&call, device, __func__, uuid))
        return call.result;
    copy_text(&call, uuid, length, call.mig ? call.mig->uuid : call.gpu->uuid);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned int length)
{
    Call call;
    if (!begin(&call, device, __func__, serial))
        return call.result;
    char own[NVML_DEVICE_SERIAL_BUFFER_SIZE];
    serial_of(call.gpu, own, sizeof own);
    if (!strcmp(own, "N/A"))
        fail(&call, NVML_ERROR_NOT_SUPPORTED);
    else
        copy_text(&call, serial, length, own);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minorNumber)
{
    Call call;
    if (!begin(&call, device, __func__, minorNumber))
        return call.result;
    bool set = section_get(&call.gpu->values, "minor") != NULL;
    *minorNumber = set ? (unsigned int)reading(&call, "minor") : call.gpu->position;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    Call call;
    if (!begin_also_mig(&call, device, __func__, index))
        return call.result;
    *index = call.mig ? call.mig->slot : 0;
    for (unsigned int i = 0; i < call.gpu->position && !call.mig; i++)
        *index += !call.state->gpus[i].missing;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetBoardId(nvmlDevice_t device, unsigned int *boardId)
{
    Call call;
    if (!begin(&call, device, __func__, boardId))
        return call.result;
    unsigned int at[3];
    pci_of(call.gpu, at);
    *boardId = at[1] << 8;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    Call call;
    if (!begin_also_mig(&call, device, __func__, name))
        return call.result;
    char full[256];
    const char *text = text_of(&call, "name");
    if (text && call.mig) {
        snprintf(full, sizeof full, "%s MIG %s", text, call.mig->profile);
        text = full;
    }
    copy_text(&call, name, length, text);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    return read_text(device, __func__, "vbios_version", version, length);
}

nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t device, nvmlBrandType_t *type)
{
    return read_uint(device, __func__, "brand", (unsigned int *)type);
}

nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, nvmlDeviceArchitecture_t *arch)
{
    return read_uint(device, __func__, "architecture", arch);
}

nvmlReturn_t nvmlDeviceGetNumGpuCores(nvmlDevice_t device, unsigned int *numCores)
{
    return read_uint(device, __func__, "cores", numCores);
}

nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned int *busWidth)
{
    return read_uint(device, __func__, "memory_bus_width", busWidth);
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    Call call;
    if (!begin(&call, device, __func__, minor ? (const void *)major : NULL))
        return call.result;
    const char *text = text_of(&call, "compute_capability");
    if (text && sscanf(text, "%d.%d", major, minor) != 2)
        fail(&call, NVML_ERROR_UNKNOWN);
    return end(&call);
}
