/* nvmlDeviceGetFieldValues: every field has its own key, type and return code. */
#include "fake.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum {
    PLAIN,      /* the key's value */
    GPU_SCOPE,  /* the same, for scope 0 (the GPU) only: no module, no memory */
    ECC,        /* an ECC counter of all memories; `extra` says which */
    ECC_DRAM,   /* the same of the device memory alone */
    LINK,       /* of the NVLink `extra` + the distance to the first ID */
    LINK_SUM,   /* of all NVLinks that are up, together */
    LINK_SCOPE, /* of the NVLink that the caller names as scope; UINT_MAX: all together */
} How;

enum { UINT = NVML_VALUE_TYPE_UNSIGNED_INT, INT = NVML_VALUE_TYPE_SIGNED_INT };
enum { ULL = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG };
enum { SBE_VOL, DBE_VOL, SBE_AGG, DBE_AGG }; /* the low bit is the type, the next one the counter */

typedef struct {
    unsigned int first, last;
    int type;
    How how;
    unsigned int extra;
    const char *key;
} Field;

#define RANGE(first, last, ...) {NVML_FI_DEV_##first, NVML_FI_DEV_##last, __VA_ARGS__}
#define ONE(id, ...) RANGE(id, id, __VA_ARGS__)

static const Field fields[] = {
    ONE(ECC_CURRENT, UINT, PLAIN, 0, "ecc_mode"),
    ONE(ECC_PENDING, UINT, PLAIN, 0, "ecc_pending"),
    ONE(ECC_SBE_VOL_TOTAL, ULL, ECC, SBE_VOL, ""),
    ONE(ECC_DBE_VOL_TOTAL, ULL, ECC, DBE_VOL, ""),
    ONE(ECC_SBE_AGG_TOTAL, ULL, ECC, SBE_AGG, ""),
    ONE(ECC_DBE_AGG_TOTAL, ULL, ECC, DBE_AGG, ""),
    ONE(ECC_SBE_VOL_DEV, ULL, ECC_DRAM, SBE_VOL, ""),
    ONE(ECC_DBE_VOL_DEV, ULL, ECC_DRAM, DBE_VOL, ""),
    ONE(ECC_SBE_AGG_DEV, ULL, ECC_DRAM, SBE_AGG, ""),
    ONE(ECC_DBE_AGG_DEV, ULL, ECC_DRAM, DBE_AGG, ""),
    ONE(RETIRED_SBE, ULL, PLAIN, 0, "retired_sbe"),
    ONE(RETIRED_DBE, ULL, PLAIN, 0, "retired_dbe"),
    ONE(RETIRED_PENDING, UINT, PLAIN, 0, "retired_pending"),
    ONE(PERF_POLICY_POWER, ULL, PLAIN, 0, "violation_power_ns"),
    ONE(PERF_POLICY_THERMAL, ULL, PLAIN, 0, "violation_thermal_ns"),
    ONE(PERF_POLICY_SYNC_BOOST, ULL, PLAIN, 0, "violation_sync_boost_ns"),
    ONE(PERF_POLICY_BOARD_LIMIT, ULL, PLAIN, 0, "violation_board_limit_ns"),
    ONE(PERF_POLICY_LOW_UTILIZATION, ULL, PLAIN, 0, "violation_low_utilization_ns"),
    ONE(PERF_POLICY_RELIABILITY, ULL, PLAIN, 0, "violation_reliability_ns"),
    ONE(PERF_POLICY_TOTAL_APP_CLOCKS, ULL, PLAIN, 0, "violation_app_clocks_ns"),
    ONE(PERF_POLICY_TOTAL_BASE_CLOCKS, ULL, PLAIN, 0, "violation_base_clocks_ns"),
    ONE(MEMORY_TEMP, UINT, PLAIN, 0, "memory_temperature"),
    ONE(TOTAL_ENERGY_CONSUMPTION, ULL, PLAIN, 0, "energy_mj"),
    ONE(PCIE_REPLAY_COUNTER, UINT, PLAIN, 0, "pcie_replay_counter"),
    ONE(PCIE_REPLAY_ROLLOVER_COUNTER, UINT, PLAIN, 0, "pcie_replay_rollover"),
    ONE(REMAPPED_COR, UINT, PLAIN, 0, "remapped_correctable"),
    ONE(REMAPPED_UNC, UINT, PLAIN, 0, "remapped_uncorrectable"),
    ONE(REMAPPED_PENDING, UINT, PLAIN, 0, "remap_pending"),
    ONE(REMAPPED_FAILURE, UINT, PLAIN, 0, "remap_failure"),
    ONE(PCIE_L0_TO_RECOVERY_COUNTER, UINT, PLAIN, 0, "pcie_l0_to_recovery"),
    ONE(PCIE_COUNT_CORRECTABLE_ERRORS, UINT, PLAIN, 0, "pcie_correctable_errors"),
    ONE(PCIE_COUNT_NAKS_RECEIVED, UINT, PLAIN, 0, "pcie_naks_received"),
    ONE(PCIE_COUNT_RECEIVER_ERROR, UINT, PLAIN, 0, "pcie_receiver_errors"),
    ONE(PCIE_COUNT_BAD_TLP, UINT, PLAIN, 0, "pcie_bad_tlp"),
    ONE(PCIE_COUNT_NAKS_SENT, UINT, PLAIN, 0, "pcie_naks_sent"),
    ONE(PCIE_COUNT_BAD_DLLP, UINT, PLAIN, 0, "pcie_bad_dllp"),
    ONE(PCIE_COUNT_NON_FATAL_ERROR, UINT, PLAIN, 0, "pcie_non_fatal_errors"),
    ONE(PCIE_COUNT_FATAL_ERROR, UINT, PLAIN, 0, "pcie_fatal_errors"),
    ONE(PCIE_COUNT_UNSUPPORTED_REQ, UINT, PLAIN, 0, "pcie_unsupported_requests"),
    ONE(PCIE_COUNT_LCRC_ERROR, UINT, PLAIN, 0, "pcie_lcrc_errors"),
    ONE(POWER_AVERAGE, UINT, GPU_SCOPE, 0, "power_average_mw"),
    ONE(POWER_INSTANT, UINT, GPU_SCOPE, 0, "power_instant_mw"),
    ONE(POWER_MIN_LIMIT, UINT, GPU_SCOPE, 0, "power_min_limit_mw"),
    ONE(POWER_MAX_LIMIT, UINT, GPU_SCOPE, 0, "power_max_limit_mw"),
    ONE(POWER_DEFAULT_LIMIT, UINT, GPU_SCOPE, 0, "power_default_limit_mw"),
    ONE(POWER_CURRENT_LIMIT, UINT, GPU_SCOPE, 0, "enforced_power_limit_mw"),
    ONE(ENERGY, ULL, GPU_SCOPE, 0, "energy_mj"),
    ONE(POWER_REQUESTED_LIMIT, UINT, GPU_SCOPE, 0, "requested_power_limit_mw"),
    ONE(TEMPERATURE_SHUTDOWN_TLIMIT, INT, PLAIN, 0, "tlimit_shutdown"),
    ONE(TEMPERATURE_SLOWDOWN_TLIMIT, INT, PLAIN, 0, "tlimit_slowdown"),
    ONE(TEMPERATURE_MEM_MAX_TLIMIT, INT, PLAIN, 0, "tlimit_memory_max"),
    ONE(TEMPERATURE_GPU_MAX_TLIMIT, INT, PLAIN, 0, "tlimit_gpu_max"),
    ONE(PCIE_COUNT_TX_BYTES, UINT, PLAIN, 0, "pcie_tx_bytes"),
    ONE(PCIE_COUNT_RX_BYTES, UINT, PLAIN, 0, "pcie_rx_bytes"),
    {269, 269, ULL, PLAIN, 0, "violation_sw_thermal_ns"}, /* in CUDA 13's header; in 12.9's they were 251 to 253 */
    {270, 270, ULL, PLAIN, 0, "violation_hw_thermal_ns"},
    {271, 271, ULL, PLAIN, 0, "violation_hw_power_brake_ns"},
    ONE(GET_GPU_RECOVERY_ACTION, UINT, PLAIN, 0, "recovery_action"),
    ONE(NVLINK_LINK_COUNT, UINT, PLAIN, 0, "nvlink_count"),
    RANGE(NVLINK_CRC_FLIT_ERROR_COUNT_L0, NVLINK_CRC_FLIT_ERROR_COUNT_L5, ULL, LINK, 0, "nvlink_crc_flit_errors"),
    RANGE(NVLINK_CRC_FLIT_ERROR_COUNT_L6, NVLINK_CRC_FLIT_ERROR_COUNT_L11, ULL, LINK, 6, "nvlink_crc_flit_errors"),
    ONE(NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL, ULL, LINK_SUM, 0, "nvlink_crc_flit_errors"),
    RANGE(NVLINK_CRC_DATA_ERROR_COUNT_L0, NVLINK_CRC_DATA_ERROR_COUNT_L5, ULL, LINK, 0, "nvlink_crc_data_errors"),
    RANGE(NVLINK_CRC_DATA_ERROR_COUNT_L6, NVLINK_CRC_DATA_ERROR_COUNT_L11, ULL, LINK, 6, "nvlink_crc_data_errors"),
    ONE(NVLINK_CRC_DATA_ERROR_COUNT_TOTAL, ULL, LINK_SUM, 0, "nvlink_crc_data_errors"),
    RANGE(NVLINK_REPLAY_ERROR_COUNT_L0, NVLINK_REPLAY_ERROR_COUNT_L5, ULL, LINK, 0, "nvlink_replay_errors"),
    RANGE(NVLINK_REPLAY_ERROR_COUNT_L6, NVLINK_REPLAY_ERROR_COUNT_L11, ULL, LINK, 6, "nvlink_replay_errors"),
    ONE(NVLINK_REPLAY_ERROR_COUNT_TOTAL, ULL, LINK_SUM, 0, "nvlink_replay_errors"),
    RANGE(NVLINK_RECOVERY_ERROR_COUNT_L0, NVLINK_RECOVERY_ERROR_COUNT_L5, ULL, LINK, 0, "nvlink_recovery_errors"),
    RANGE(NVLINK_RECOVERY_ERROR_COUNT_L6, NVLINK_RECOVERY_ERROR_COUNT_L11, ULL, LINK, 6, "nvlink_recovery_errors"),
    ONE(NVLINK_RECOVERY_ERROR_COUNT_TOTAL, ULL, LINK_SUM, 0, "nvlink_recovery_errors"),
    RANGE(NVLINK_ECC_DATA_ERROR_COUNT_L0, NVLINK_ECC_DATA_ERROR_COUNT_L11, ULL, LINK, 0, "nvlink_ecc_errors"),
    ONE(NVLINK_ECC_DATA_ERROR_COUNT_TOTAL, ULL, LINK_SUM, 0, "nvlink_ecc_errors"),
    RANGE(NVLINK_SPEED_MBPS_L0, NVLINK_SPEED_MBPS_L5, UINT, LINK, 0, "nvlink_speed_mbps"),
    RANGE(NVLINK_SPEED_MBPS_L6, NVLINK_SPEED_MBPS_L11, UINT, LINK, 6, "nvlink_speed_mbps"),
    ONE(NVLINK_SPEED_MBPS_COMMON, UINT, PLAIN, 0, "nvlink_speed_mbps"),
    ONE(NVLINK_THROUGHPUT_DATA_TX, ULL, LINK_SCOPE, 0, "nvlink_data_tx_kib"),
    ONE(NVLINK_THROUGHPUT_DATA_RX, ULL, LINK_SCOPE, 0, "nvlink_data_rx_kib"),
    ONE(NVLINK_THROUGHPUT_RAW_TX, ULL, LINK_SCOPE, 0, "nvlink_raw_tx_kib"),
    ONE(NVLINK_THROUGHPUT_RAW_RX, ULL, LINK_SCOPE, 0, "nvlink_raw_rx_kib"),
    ONE(NVLINK_ERROR_DL_REPLAY, ULL, LINK_SCOPE, 0, "nvlink_replay_errors"),
    ONE(NVLINK_ERROR_DL_RECOVERY, ULL, LINK_SCOPE, 0, "nvlink_recovery_errors"),
    ONE(NVLINK_ERROR_DL_CRC, ULL, LINK_SCOPE, 0, "nvlink_crc_flit_errors"),
    ONE(NVLINK_GET_SPEED, UINT, LINK_SCOPE, 0, "nvlink_speed_mbps"),
    ONE(NVLINK_GET_STATE, UINT, LINK_SCOPE, 0, "nvlink_state"),
    ONE(NVLINK_GET_VERSION, UINT, LINK_SCOPE, 0, "nvlink_version"),
};

static const Field *field(unsigned int id)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (id >= fields[i].first && id <= fields[i].last)
            return &fields[i];
    return NULL;
}

static u64 sum_of_links(Call *call, const char *key)
{
    u64 sum = 0, count = reading(call, "nvlink_count");
    for (unsigned int link = 0; link < count; link++)
        if (link_reading(call, "nvlink_state", link))
            sum += link_reading(call, key, link);
    return sum;
}

static u64 value_of(Call *call, const Field *field, unsigned int id, unsigned int scope)
{
    unsigned int link = field->how == LINK ? field->extra + id - field->first : scope;
    switch (field->how) {
    case PLAIN:
        return reading(call, field->key);
    case GPU_SCOPE:
        return reading(call, scope == 0 ? field->key : "none");
    case ECC:
    case ECC_DRAM:
        return ecc_reading(call, (nvmlMemoryErrorType_t)(field->extra & 1), (nvmlEccCounterType_t)(field->extra >> 1),
                           field->how == ECC ? ECC_TOTAL : NVML_MEMORY_LOCATION_DRAM);
    case LINK_SCOPE:
        if (scope != UINT_MAX)
            break;
        return sum_of_links(call, field->key);
    case LINK_SUM:
        return sum_of_links(call, field->key);
    case LINK:
        break;
    }
    return link_usable(call, link) ? link_reading(call, field->key, link) : 0;
}

/* "field.<id>", "field.<id>.type", "field_error.<id>" and "field_latency_us.<id>" of the state file. */
static const char *setting(const Call *call, const char *kind, unsigned int id, const char *what)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%u%s", kind, id, what);
    return section_get(&call->gpu->values, key);
}

static int type_of(const char *text)
{
    static const char *const names[NVML_VALUE_TYPE_COUNT] = {
        "DOUBLE",           "UNSIGNED_INT", "UNSIGNED_LONG",  "UNSIGNED_LONG_LONG",
        "SIGNED_LONG_LONG", "SIGNED_INT",   "UNSIGNED_SHORT",
    };
    for (int i = 0; i < NVML_VALUE_TYPE_COUNT; i++)
        if (!strcmp(names[i], text))
            return i;
    return atoi(text);
}

/* A value that the state file gives, in the field's own type. */
static void give(Call *call, nvmlFieldValue_t *out, int type, const char *text)
{
    if (!strcmp(text, "N/A")) {
        fail(call, NVML_ERROR_NOT_SUPPORTED);
        return;
    }
    if (type == NVML_VALUE_TYPE_DOUBLE)
        out->value.dVal = strtod(text, NULL);
    else if (type == INT || type == NVML_VALUE_TYPE_SIGNED_LONG_LONG)
        out->value.sllVal = strtoll(text, NULL, 0);
    else
        out->value.ullVal = strtoull(text, NULL, 0);
    if (type == INT || type == UINT) /* the four other bytes stay 0, as in what is read from a key */
        out->value.ullVal = out->value.uiVal;
}

static int type_of_unknown(const char *label, const char *text)
{
    if (label)
        return type_of(label);
    return strchr(text, '.') ? NVML_VALUE_TYPE_DOUBLE : text[0] == '-' ? NVML_VALUE_TYPE_SIGNED_LONG_LONG : ULL;
}

static void fill(Call *call, nvmlFieldValue_t *out)
{
    u64 started = monotonic_us();
    unsigned int id = out->fieldId;
    const Section *values = &call->gpu->values;
    bool changed = section_has(values, FIELD);
    const char *text = changed ? setting(call, "field", id, "") : NULL;
    const char *label = changed ? setting(call, "field", id, ".type") : NULL;
    const char *error = changed ? setting(call, "field_error", id, "") : NULL;
    const char *latency = section_has(values, FIELD_LATENCY) ? setting(call, "field_latency_us", id, "") : NULL;
    const Field *found = id <= NEWEST_FIELD ? field(id) : NULL;
    int type = found ? found->type : UINT;
    out->value.ullVal = 0;
    call->result = error ? error_code(error) : NVML_SUCCESS;
    if (latency || call->state->realistic)
        pause_us(latency ? strtod(latency, NULL) : usual_field_cost_us(id));
    if (call->result == NVML_SUCCESS && text) {
        type = found ? found->type : type_of_unknown(label, text);
        give(call, out, type, text);
    } else if (call->result == NVML_SUCCESS && found) {
        u64 value = value_of(call, found, id, out->scopeId);
        if (type == ULL)
            out->value.ullVal = value;
        else
            out->value.uiVal = (unsigned int)value; /* a signed int has the same bits */
    } else {
        fail(call, id <= NEWEST_FIELD ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    }
    out->valueType = (nvmlValueType_t)(label ? type_of(label) : type);
    out->nvmlReturn = call->result;
    out->timestamp = (long long)now_us();
    out->latencyUsec = (long long)(monotonic_us() - started);
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount, nvmlFieldValue_t *values)
{
    Call call;
    if (!begin(&call, device, __func__, valuesCount > 0 ? values : NULL))
        return call.result;
    for (int i = 0; i < valuesCount; i++)
        fill(&call, &values[i]);
    call.result = NVML_SUCCESS; /* each value carries its own */
    return end(&call);
}
