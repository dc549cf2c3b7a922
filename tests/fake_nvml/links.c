/* NVLink. */
#include "fake.h"

#include <stdio.h>

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link, nvmlEnableState_t *isActive)
{
    Call call;
    if (!begin(&call, device, __func__, isActive))
        return call.result;
    if (link_usable(&call, link))
        *isActive = (nvmlEnableState_t)link_reading(&call, "nvlink_state", link);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned int link, unsigned int *version)
{
    Call call;
    if (!begin(&call, device, __func__, version))
        return call.result;
    if (link_usable(&call, link))
        *version = (unsigned int)link_reading(&call, "nvlink_version", link);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned int link,
                                                 nvmlIntNvLinkDeviceType_t *pNvLinkDeviceType)
{
    Call call;
    if (!begin(&call, device, __func__, pNvLinkDeviceType))
        return call.result;
    if (link_usable(&call, link))
        *pNvLinkDeviceType = link_reading(&call, "nvlink_switch", link) ? NVML_NVLINK_DEVICE_TYPE_SWITCH
                                                                       : NVML_NVLINK_DEVICE_TYPE_GPU;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned int link, nvmlPciInfo_t *pci)
{
    Call call;
    if (!begin(&call, device, __func__, pci))
        return call.result;
    char own[48];
    snprintf(own, sizeof own, "nvlink_remote_pci_bus_id.%u", link);
    nvmlPciInfo_t info = {.pciDeviceId = 0x22A310DE};
    if (link_usable(&call, link) && !link_reading(&call, "nvlink_state", link))
        fail(&call, NVML_ERROR_NOT_SUPPORTED);
    const char *text = text_of(&call, section_get(&call.gpu->values, own) ? own : "nvlink_remote_pci_bus_id");
    if (text && sscanf(text, "%x:%x:%x", &info.domain, &info.bus, &info.device) == 3) {
        snprintf(info.busId, sizeof info.busId, NVML_DEVICE_PCI_BUS_ID_FMT, info.domain, info.bus & 0xFF,
                 info.device & 0xFF);
        snprintf(info.busIdLegacy, sizeof info.busIdLegacy, NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT, info.domain & 0xFFFF,
                 info.bus & 0xFF, info.device & 0xFF);
    }
    if (call.result == NVML_SUCCESS)
        *pci = info;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned int link, nvmlNvLinkErrorCounter_t counter,
                                             unsigned long long *counterValue)
{
    static const char *const keys[NVML_NVLINK_ERROR_COUNT] = {
        [NVML_NVLINK_ERROR_DL_REPLAY] = "nvlink_replay_errors",
        [NVML_NVLINK_ERROR_DL_RECOVERY] = "nvlink_recovery_errors",
        [NVML_NVLINK_ERROR_DL_CRC_FLIT] = "nvlink_crc_flit_errors",
        [NVML_NVLINK_ERROR_DL_CRC_DATA] = "nvlink_crc_data_errors",
        [NVML_NVLINK_ERROR_DL_ECC_DATA] = "nvlink_ecc_errors",
    };
    Call call;
    if (!begin(&call, device, __func__, counter < NVML_NVLINK_ERROR_COUNT ? counterValue : NULL))
        return call.result;
    if (link_usable(&call, link))
        *counterValue = link_reading(&call, keys[counter], link);
    return end(&call);
}
