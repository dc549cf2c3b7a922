/* GPM (profiling metrics): a sample keeps what the state file said when it was taken. */
#include "fake.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct nvmlGpmSample_st {
    const State *state; /* NULL: nothing was sampled yet */
    u64 taken_us;
    long long generation;
    unsigned int gi; /* NO_INSTANCE: the whole GPU */
    char uuid[UUID_SIZE];
};

/* Metrics that are numbered: every `step` one from first to last is that of the next part. */
static const struct {
    unsigned int first, last, step;
    bool whole_gpu; /* there is none of a GPU instance */
    const char *key;
} metrics[] = {
    {1, 1, 1, false, "gpm_graphics_util"},
    {2, 2, 1, false, "gpm_sm_util"},
    {3, 3, 1, false, "gpm_sm_occupancy"},
    {4, 4, 1, false, "gpm_integer_util"},
    {5, 5, 1, false, "gpm_any_tensor_util"},
    {6, 6, 1, false, "gpm_dfma_tensor_util"},
    {7, 7, 1, false, "gpm_hmma_tensor_util"},
    {9, 9, 1, false, "gpm_imma_tensor_util"},
    {10, 10, 1, false, "gpm_dram_bw_util"},
    {11, 11, 1, false, "gpm_fp64_util"},
    {12, 12, 1, false, "gpm_fp32_util"},
    {13, 13, 1, false, "gpm_fp16_util"},
    {20, 20, 1, true, "gpm_pcie_tx_per_sec"},
    {21, 21, 1, true, "gpm_pcie_rx_per_sec"},
    {30, 37, 1, false, "gpm_nvdec_util"},
    {40, 47, 1, false, "gpm_nvjpg_util"},
    {50, 51, 1, false, "gpm_nvofa_util"},
    {60, 60, 1, true, "gpm_nvlink_total_rx_per_sec"},
    {61, 61, 1, true, "gpm_nvlink_total_tx_per_sec"},
    {62, 96, 2, true, "gpm_nvlink_rx_per_sec"},
    {63, 97, 2, true, "gpm_nvlink_tx_per_sec"},
};

/* The value of a key, of the GPU instance before that of the GPU. */
static const char *find(const nvmlGpmSample_t sample, const Gpu *gpu, const char *key)
{
    char own[128];
    const char *value = NULL;
    if (sample->gi != NO_INSTANCE) {
        snprintf(own, sizeof own, "mig.%u.%s", sample->gi, key);
        value = section_get(&gpu->values, own);
    }
    return value ? value : section_get(&gpu->values, key);
}

static const char *find_metric(const nvmlGpmSample_t sample, const Gpu *gpu, unsigned int id)
{
    char key[96];
    snprintf(key, sizeof key, "gpm.%u", id);
    const char *value = find(sample, gpu, key);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0] && !value; i++) {
        unsigned int distance = id - metrics[i].first;
        if (id < metrics[i].first || id > metrics[i].last || distance % metrics[i].step)
            continue;
        if (metrics[i].whole_gpu && sample->gi != NO_INSTANCE)
            return NULL;
        snprintf(key, sizeof key, "%s.%u", metrics[i].key, distance / metrics[i].step);
        value = find(sample, gpu, key);
        return value ? value : find(sample, gpu, metrics[i].key);
    }
    return value;
}

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *gpmSupport)
{
    Call call;
    if (!begin(&call, device, __func__, gpmSupport))
        return call.result;
    if (gpmSupport->version != NVML_GPM_SUPPORT_VERSION)
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    else
        gpmSupport->isSupportedDevice = (unsigned int)reading(&call, "gpm_supported");
    return end(&call);
}

static void require_support(Call *call)
{
    if (!reading(call, "gpm_supported"))
        fail(call, NVML_ERROR_NOT_SUPPORTED);
}

nvmlReturn_t nvmlGpmQueryIfStreamingEnabled(nvmlDevice_t device, unsigned int *state)
{
    Call call;
    if (!begin(&call, device, __func__, state))
        return call.result;
    require_support(&call);
    *state = (unsigned int)reading(&call, "gpm_streaming");
    return end(&call);
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *gpmSample)
{
    Call call;
    if (!begin_global(&call, __func__, gpmSample))
        return call.result;
    *gpmSample = calloc(1, sizeof **gpmSample);
    if (!*gpmSample)
        fail(&call, NVML_ERROR_MEMORY);
    return end(&call);
}

static void forget(nvmlGpmSample_t sample)
{
    if (sample->state)
        state_release(sample->state);
    sample->state = NULL;
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t gpmSample)
{
    Call call;
    if (!begin_global(&call, __func__, gpmSample))
        return call.result;
    forget(gpmSample);
    free(gpmSample);
    return end(&call);
}

/* The sample takes over the call's snapshot. */
static nvmlReturn_t take(Call *call, nvmlGpmSample_t sample, unsigned int gi)
{
    require_support(call);
    if (call->result != NVML_SUCCESS)
        return end(call);
    forget(sample);
    *sample = (struct nvmlGpmSample_st){call->state, monotonic_us(), library_generation(), gi, ""};
    snprintf(sample->uuid, sizeof sample->uuid, "%s", call->gpu->uuid);
    return call->result;
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t gpmSample)
{
    Call call;
    if (!begin(&call, device, __func__, gpmSample))
        return call.result;
    return take(&call, gpmSample, NO_INSTANCE);
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned int gpuInstanceId, nvmlGpmSample_t gpmSample)
{
    Call call;
    if (!begin(&call, device, __func__, gpmSample))
        return call.result;
    if (!call.gpu->mig_mode)
        fail(&call, NVML_ERROR_NOT_SUPPORTED);
    else if (!mig_of(call.gpu, gpuInstanceId, NO_INSTANCE))
        fail(&call, NVML_ERROR_NOT_FOUND);
    return take(&call, gpmSample, gpuInstanceId);
}

static bool comparable(const nvmlGpmSample_t first, const nvmlGpmSample_t second)
{
    return first && second && first->state && second->state && first->gi == second->gi &&
           first->generation == library_generation() && second->generation == first->generation &&
           first->taken_us <= second->taken_us && gpu_by_uuid(second->state, first->uuid) ==
           gpu_by_uuid(second->state, second->uuid);
}

static void measure(Call *call, const nvmlGpmMetricsGet_t *get, nvmlGpmMetric_t *metric)
{
    const Gpu *gpu = gpu_by_uuid(get->sample2->state, get->sample2->uuid);
    u64 apart_us = get->sample2->taken_us - get->sample1->taken_us;
    call->result = gpu ? NVML_SUCCESS : NVML_ERROR_GPU_IS_LOST;
    const char *text = gpu ? find_metric(get->sample2, gpu, metric->metricId) : NULL;
    const char *error = NULL;
    bool too_close = gpu && apart_us < 1000 * (u64)section_number(&gpu->values, "gpm_min_interval_ms", 0);
    if (too_close)
        error = section_get(&gpu->values, "gpm_too_close");
    if (!error && gpu) {
        char key[48];
        snprintf(key, sizeof key, "gpm_error.%u", metric->metricId);
        error = section_get(&gpu->values, key);
    }
    if (error)
        fail(call, error_code(error));
    metric->value = text ? number_of(call, "gpm", text) : 0;
    if (!text)
        fail(call, metric->metricId && metric->metricId < 477 ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    if (too_close || call->result != NVML_SUCCESS)
        metric->value = NAN;
    metric->nvmlReturn = call->result;
    metric->metricInfo.shortName = metric->metricInfo.longName = metric->metricInfo.unit = NULL;
}

/* The caller's array may be longer or shorter than this header's: only numMetrics of it are touched. */
nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *metricsGet)
{
    Call call;
    if (!begin_global(&call, __func__, metricsGet))
        return call.result;
    if (metricsGet->version != NVML_GPM_METRICS_GET_VERSION) {
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    } else if (!comparable(metricsGet->sample1, metricsGet->sample2)) {
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    } else {
        nvmlGpmMetric_t *first = metricsGet->metrics;
        for (unsigned int i = 0; i < metricsGet->numMetrics; i++)
            measure(&call, metricsGet, first + i);
        call.result = NVML_SUCCESS; /* each metric carries its own */
    }
    return end(&call);
}
