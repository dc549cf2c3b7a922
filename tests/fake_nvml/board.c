/* The board around the GPU: fans, modes, PCIe, what its inforom says, its way to its peers. */
#include "fake.h"

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

nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    return read_text(device, __func__, "inforom_image", version, length);
}

nvmlReturn_t nvmlDeviceGetInforomVersion(nvmlDevice_t device, nvmlInforomObject_t object, char *version,
                                         unsigned int length)
{
    static const char *const keys[] = {"inforom_oem", "inforom_ecc", "inforom_power"};
    bool known = object < sizeof keys / sizeof keys[0];
    return read_text(device, __func__, known ? keys[object] : "none", known ? version : NULL, length);
}

nvmlReturn_t nvmlDeviceGetGridLicensableFeatures_v4(nvmlDevice_t device,
                                                    nvmlGridLicensableFeatures_t *pGridLicensableFeatures)
{
    Call call;
    if (!begin(&call, device, __func__, pGridLicensableFeatures))
        return call.result;
    *pGridLicensableFeatures = (nvmlGridLicensableFeatures_t){0}; /* not a vGPU */
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t device1, nvmlDevice_t device2, nvmlGpuP2PCapsIndex_t p2pIndex,
                                    nvmlGpuP2PStatus_t *p2pStatus)
{
    Call call;
    if (!begin(&call, device2, __func__, p2pStatus))
        return call.result;
    end(&call);
    if (!begin(&call, device1, __func__, p2pIndex < NVML_P2P_CAPS_INDEX_UNKNOWN ? p2pStatus : NULL))
        return call.result;
    bool links = section_number(&call.gpu->values, "nvlink_count", 0) > 0;
    bool by_link = p2pIndex == NVML_P2P_CAPS_INDEX_NVLINK;
    *p2pStatus = by_link && !links ? NVML_P2P_STATUS_NOT_SUPPORTED : (nvmlGpuP2PStatus_t)reading(&call, "p2p_status");
    return end(&call);
}
