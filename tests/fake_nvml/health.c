/* Memory errors: ECC, retired pages, remapped rows. */
#include "fake.h"

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t *current, nvmlEnableState_t *pending)
{
    Call call;
    if (!begin(&call, device, __func__, pending ? current : NULL))
        return call.result;
    *current = (nvmlEnableState_t)reading(&call, "ecc_mode");
    *pending = (nvmlEnableState_t)reading(&call, "ecc_pending");
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t errorType,
                                         nvmlEccCounterType_t counterType, unsigned long long *eccCounts)
{
    Call call;
    if (!begin(&call, device, __func__, eccCounts))
        return call.result;
    *eccCounts = ecc_reading(&call, errorType, counterType, ECC_TOTAL);
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, nvmlMemoryErrorType_t errorType,
                                             nvmlEccCounterType_t counterType, nvmlMemoryLocation_t locationType,
                                             unsigned long long *count)
{
    Call call;
    if (!begin(&call, device, __func__, count))
        return call.result;
    *count = ecc_reading(&call, errorType, counterType, (int)locationType);
    return end(&call);
}

static nvmlReturn_t retired(nvmlDevice_t device, const char *function, nvmlPageRetirementCause_t cause,
                            unsigned int *pageCount, u64 *addresses, u64 *timestamps)
{
    Call call;
    if (!begin(&call, device, function, cause < NVML_PAGE_RETIREMENT_CAUSE_COUNT ? pageCount : NULL))
        return call.result;
    bool single = cause == NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS;
    unsigned int found = (unsigned int)reading(&call, single ? "retired_sbe" : "retired_dbe");
    if (call.result == NVML_SUCCESS) {
        if (found > *pageCount)
            fail(&call, NVML_ERROR_INSUFFICIENT_SIZE);
        else
            for (unsigned int i = 0; i < found && addresses; i++) {
                addresses[i] = 0x100000ULL + 0x1000ULL * i;
                if (timestamps)
                    timestamps[i] = 1700000000ULL + i;
            }
        *pageCount = found;
    }
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned int *pageCount,
                                       unsigned long long *addresses)
{
    return retired(device, __func__, cause, pageCount, addresses, NULL);
}

nvmlReturn_t nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                                          unsigned int *pageCount, unsigned long long *addresses,
                                          unsigned long long *timestamps)
{
    return retired(device, __func__, cause, pageCount, addresses, timestamps);
}

nvmlReturn_t nvmlDeviceGetRetiredPagesPendingStatus(nvmlDevice_t device, nvmlEnableState_t *isPending)
{
    return read_uint(device, __func__, "retired_pending", (unsigned int *)isPending);
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrRows, unsigned int *uncRows,
                                       unsigned int *isPending, unsigned int *failureOccurred)
{
    Call call;
    if (!begin(&call, device, __func__, corrRows && uncRows && isPending ? failureOccurred : NULL))
        return call.result;
    *corrRows = (unsigned int)reading(&call, "remapped_correctable");
    *uncRows = (unsigned int)reading(&call, "remapped_uncorrectable");
    *isPending = (unsigned int)reading(&call, "remap_pending");
    *failureOccurred = (unsigned int)reading(&call, "remap_failure");
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t device, nvmlRowRemapperHistogramValues_t *values)
{
    Call call;
    if (!begin(&call, device, __func__, values))
        return call.result;
    *values = (nvmlRowRemapperHistogramValues_t){.max = (unsigned int)reading(&call, "remap_banks")};
    return end(&call);
}
