/* The readings of each model at rest or under a light load, in the state file's own format.
 *
 * What a model has no reading for is N/A here, or absent from both its own text and `common`.
 * A value "@key" is whatever the other key says. The numbers are plausible for the model, not captured from one. */
#include "fake.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char common[] =
    "brand=14\n" /* NVIDIA */
    "vbios_version=96.00.74.00.01\n"
    "cpu_affinity=all\n"
    "persistence_mode=1\ncompute_mode=0\npstate=0\nclocks_event_reasons=0\n"
    "supported_clocks_event_reasons=0x1ff\n"
    "temperature=34\nmargin_temperature=N/A\n"
    "shutdown_temperature=95\nslowdown_temperature=92\ngpu_max_temperature=87\nmemory_max_temperature=N/A\n"
    "power_management_mode=1\nenergy_mj=123456789\n"
    "power_average_mw=@power_mw\npower_instant_mw=@power_mw\n"
    "power_default_limit_mw=@power_max_limit_mw\npower_limit_mw=@power_default_limit_mw\n"
    "enforced_power_limit_mw=@power_limit_mw\nrequested_power_limit_mw=@power_limit_mw\n"
    "sm_clock=@graphics_clock\nmax_sm_clock=@max_graphics_clock\n"
    "app_graphics_clock=@max_graphics_clock\napp_sm_clock=@app_graphics_clock\napp_mem_clock=@max_mem_clock\n"
    "app_video_clock=N/A\nmin_graphics_clock=210\nsupported_memory_clocks=@max_mem_clock\n"
    "utilization_gpu=0\nutilization_memory=0\n"
    "utilization_encoder=0\nutilization_decoder=0\nutilization_jpg=0\nutilization_ofa=0\n"
    "memory_used=0\nmemory_reserved=512MiB\nbar1_used=2MiB\n"
    "pcie_link_gen=@pcie_link_gen_max\npcie_link_width=@pcie_link_width_max\npcie_link_width_max=16\n"
    "pcie_replay_counter=0\npcie_replay_rollover=0\npcie_tx_kbps=0\npcie_rx_kbps=0\n"
    "pcie_tx_bytes=0\npcie_rx_bytes=0\npcie_l0_to_recovery=0\npcie_correctable_errors=0\npcie_naks_received=0\n"
    "pcie_receiver_errors=0\npcie_bad_tlp=0\npcie_naks_sent=0\npcie_bad_dllp=0\npcie_non_fatal_errors=0\n"
    "pcie_fatal_errors=0\npcie_unsupported_requests=0\npcie_lcrc_errors=0\n"
    "violation_power_ns=0\nviolation_thermal_ns=0\nviolation_sync_boost_ns=0\nviolation_board_limit_ns=0\n"
    "violation_low_utilization_ns=0\nviolation_reliability_ns=0\nviolation_app_clocks_ns=0\n"
    "violation_base_clocks_ns=0\nviolation_sw_thermal_ns=0\nviolation_hw_thermal_ns=0\n"
    "violation_hw_power_brake_ns=0\nrecovery_action=0\np2p_status=0\n"
    "inforom_image=G520.0200.00.05\ninforom_oem=2.1\ninforom_ecc=7.16\ninforom_power=N/A\n"
    "ecc_mode=1\necc_pending=@ecc_mode\n"
    "ecc_volatile_sbe=0\necc_volatile_dbe=0\necc_aggregate_sbe=0\necc_aggregate_dbe=0\n"
    "ecc_volatile_sbe_sram=0\necc_volatile_dbe_sram=0\necc_aggregate_sbe_sram=0\necc_aggregate_dbe_sram=0\n"
    "remapped_correctable=0\nremapped_uncorrectable=0\nremap_pending=0\nremap_failure=0\n"
    "nvlink_state=1\nnvlink_switch=1\nnvlink_remote_pci_bus_id=00000000:05:00.0\n"
    "nvlink_crc_flit_errors=0\nnvlink_crc_data_errors=0\nnvlink_replay_errors=0\nnvlink_recovery_errors=0\n"
    "nvlink_ecc_errors=0\nnvlink_data_tx_kib=0\nnvlink_data_rx_kib=0\nnvlink_raw_tx_kib=0\nnvlink_raw_rx_kib=0\n"
    "mig_mode=N/A\nmig_pending=@mig_mode\nmax_mig_devices=7\nmig=\n"
    "gpm_supported=0\ngpm_min_interval_ms=100\n"
    "event_types=0x1f\nprocesses=\n";

/* Profiling: percent, and MiB/s. */
#define GPM                                                                                                            \
    "gpm_supported=1\ngpm_streaming=0\n"                                                                               \
    "gpm_graphics_util=0\ngpm_sm_util=0\ngpm_sm_occupancy=0\ngpm_integer_util=0\n"                                     \
    "gpm_any_tensor_util=0\ngpm_dfma_tensor_util=0\ngpm_hmma_tensor_util=0\ngpm_imma_tensor_util=0\n"                  \
    "gpm_dram_bw_util=0\ngpm_fp64_util=0\ngpm_fp32_util=0\ngpm_fp16_util=0\n"                                          \
    "gpm_pcie_tx_per_sec=0\ngpm_pcie_rx_per_sec=0\ngpm_nvdec_util=0\ngpm_nvjpg_util=0\ngpm_nvofa_util=0\n"             \
    "gpm_nvlink_total_rx_per_sec=0\ngpm_nvlink_total_tx_per_sec=0\n"                                                   \
    "gpm_nvlink_rx_per_sec=0\ngpm_nvlink_tx_per_sec=0\n"

static const char h100[] =
    GPM
    "name=NVIDIA H100 80GB HBM3\narchitecture=9\ncompute_capability=9.0\ncores=16896\nmemory_bus_width=5120\n"
    "pci_device_id=0x233010DE\npci_subsystem_id=0x16C110DE\n"
    "memory_temperature=42\nmargin_temperature=53\nmemory_max_temperature=95\n"
    "tlimit_shutdown=-8\ntlimit_slowdown=-2\ntlimit_memory_max=0\ntlimit_gpu_max=0\n"
    "power_mw=71500\npower_min_limit_mw=200000\npower_max_limit_mw=700000\n"
    "graphics_clock=345\nmem_clock=2619\nvideo_clock=765\n"
    "max_graphics_clock=1980\nmax_mem_clock=2619\nmax_video_clock=1545\nmin_graphics_clock=345\n"
    "supported_memory_clocks=2619,1593\n"
    "memory_total=81559MiB\nmemory_reserved=551MiB\nbar1_total=131072MiB\npcie_link_gen_max=5\n"
    "mig_profiles=1g.10gb:19:16:9984 1g.10gb+me:20:16:9984 1g.20gb:15:26:20096 2g.20gb:14:32:20096 "
    "3g.40gb:9:60:40448 4g.40gb:5:64:40448 7g.80gb:0:132:81152\n"
    "remap_banks=2560\nmig_mode=0\nnvlink_count=18\nnvlink_version=6\nnvlink_speed_mbps=26562\n";

static const char h200[] =
    GPM
    "name=NVIDIA H200\narchitecture=9\ncompute_capability=9.0\ncores=16896\nmemory_bus_width=6144\n"
    "pci_device_id=0x233510DE\npci_subsystem_id=0x18BE10DE\n"
    "memory_temperature=41\nmargin_temperature=52\nmemory_max_temperature=95\n"
    "tlimit_shutdown=-8\ntlimit_slowdown=-2\ntlimit_memory_max=0\ntlimit_gpu_max=0\n"
    "power_mw=75200\npower_min_limit_mw=200000\npower_max_limit_mw=700000\n"
    "graphics_clock=345\nmem_clock=3201\nvideo_clock=765\n"
    "max_graphics_clock=1980\nmax_mem_clock=3201\nmax_video_clock=1545\nmin_graphics_clock=345\n"
    "supported_memory_clocks=3201,1593\n"
    "memory_total=143771MiB\nmemory_reserved=604MiB\nbar1_total=262144MiB\npcie_link_gen_max=5\n"
    "mig_profiles=1g.18gb:19:16:16384 1g.18gb+me:20:16:16384 1g.35gb:15:26:33280 2g.35gb:14:32:33280 "
    "3g.71gb:9:60:71424 4g.71gb:5:64:71424 7g.141gb:0:132:143360\n"
    "remap_banks=3072\nmig_mode=0\nnvlink_count=18\nnvlink_version=6\nnvlink_speed_mbps=26562\n";

static const char a100[] =
    "name=NVIDIA A100-SXM4-80GB\narchitecture=7\ncompute_capability=8.0\ncores=6912\nmemory_bus_width=5120\n"
    "pci_device_id=0x20B210DE\npci_subsystem_id=0x147F10DE\n"
    "memory_temperature=40\nmemory_max_temperature=95\npower_average_mw=N/A\n"
    "power_mw=61300\npower_min_limit_mw=100000\npower_max_limit_mw=400000\n"
    "graphics_clock=210\nmem_clock=1593\nvideo_clock=585\n"
    "max_graphics_clock=1410\nmax_mem_clock=1593\nmax_video_clock=1290\napp_graphics_clock=1275\n"
    "memory_total=81920MiB\nmemory_reserved=625MiB\nbar1_total=131072MiB\npcie_link_gen_max=4\n"
    "mig_profiles=1g.10gb:19:14:9728 1g.10gb+me:20:14:9728 1g.20gb:15:14:19968 2g.20gb:14:28:19968 "
    "3g.40gb:9:42:40192 4g.40gb:5:56:40192 7g.80gb:0:98:80640\n"
    "remap_banks=640\nmig_mode=0\nnvlink_count=12\nnvlink_version=4\nnvlink_speed_mbps=25000\n";

static const char l40s[] =
    "name=NVIDIA L40S\narchitecture=8\ncompute_capability=8.9\ncores=18176\nmemory_bus_width=384\n"
    "pci_device_id=0x26B910DE\npci_subsystem_id=0x185110DE\n"
    "tlimit_shutdown=-5\ntlimit_slowdown=-2\ntlimit_gpu_max=0\nmargin_temperature=56\n"
    "power_mw=35100\npower_min_limit_mw=100000\npower_max_limit_mw=350000\n"
    "graphics_clock=210\nmem_clock=405\nvideo_clock=1185\npstate=8\n"
    "max_graphics_clock=2520\nmax_mem_clock=9001\nmax_video_clock=1965\nsupported_memory_clocks=9001,405\n"
    "memory_total=46068MiB\nmemory_reserved=480MiB\nbar1_total=65536MiB\npcie_link_gen_max=4\nremap_banks=192\n";

#define GEFORCE                                                                                                        \
    "brand=5\nserial=N/A\nfan_speed=30\ngpu_max_temperature=84\npstate=8\nclocks_event_reasons=1\n"                    \
    "app_graphics_clock=N/A\napp_mem_clock=N/A\n"                                                                      \
    "ecc_mode=N/A\nremapped_correctable=N/A\nremapped_uncorrectable=N/A\nremap_pending=N/A\nremap_failure=N/A\n"       \
    "event_types=0x1c\n"

static const char rtx4090[] =
    GEFORCE
    "name=NVIDIA GeForce RTX 4090\narchitecture=8\ncompute_capability=8.9\ncores=16384\nmemory_bus_width=384\n"
    "pci_device_id=0x268410DE\npci_subsystem_id=0x40E61458\nfans=2\n"
    "power_mw=21400\npower_min_limit_mw=150000\npower_default_limit_mw=450000\npower_max_limit_mw=600000\n"
    "graphics_clock=210\nmem_clock=405\nvideo_clock=1185\n"
    "max_graphics_clock=3105\nmax_mem_clock=10501\nmax_video_clock=2415\n"
    "supported_memory_clocks=10501,10251,5001,810,405\n"
    "memory_total=24564MiB\nmemory_reserved=344MiB\nbar1_total=32768MiB\npcie_link_gen_max=4\n";

static const char rtx3090[] =
    GEFORCE
    "name=NVIDIA GeForce RTX 3090\narchitecture=7\ncompute_capability=8.6\ncores=10496\nmemory_bus_width=384\n"
    "pci_device_id=0x220410DE\npci_subsystem_id=0x147D10DE\nfans=2\n"
    "power_mw=23800\npower_min_limit_mw=100000\npower_default_limit_mw=350000\npower_max_limit_mw=366000\n"
    "graphics_clock=210\nmem_clock=405\nvideo_clock=555\n"
    "max_graphics_clock=2100\nmax_mem_clock=9751\nmax_video_clock=1950\n"
    "supported_memory_clocks=9751,9501,5001,810,405\n"
    "memory_total=24576MiB\nmemory_reserved=309MiB\nbar1_total=256MiB\npcie_link_gen_max=4\n"
    "nvlink_count=4\nnvlink_state=0\nnvlink_switch=0\nnvlink_version=5\nnvlink_speed_mbps=14062\n";

static const char t4[] =
    "name=Tesla T4\narchitecture=6\ncompute_capability=7.5\ncores=2560\nmemory_bus_width=256\n"
    "pci_device_id=0x1EB810DE\npci_subsystem_id=0x12A210DE\nutilization_jpg=N/A\nutilization_ofa=N/A\n"
    "shutdown_temperature=96\nslowdown_temperature=93\ngpu_max_temperature=85\n"
    "power_mw=9700\npower_average_mw=N/A\npower_min_limit_mw=60000\npower_max_limit_mw=70000\n"
    "graphics_clock=300\nmem_clock=405\nvideo_clock=540\npstate=8\n"
    "max_graphics_clock=1590\nmax_mem_clock=5001\nmax_video_clock=1470\nmin_graphics_clock=300\n"
    "app_graphics_clock=585\nsupported_memory_clocks=5001,405\n"
    "memory_total=15360MiB\nmemory_reserved=448MiB\nbar1_total=256MiB\npcie_link_gen_max=3\n"
    "remapped_correctable=N/A\nremapped_uncorrectable=N/A\nremap_pending=N/A\nremap_failure=N/A\n"
    "retired_sbe=0\nretired_dbe=0\nretired_pending=0\n";

static struct {
    const char *name;
    const char *text;
    Section section;
} models[] = {
    {"common", common, {0}}, /* first: the others fall back to it */
    {"h100", h100, {0}},       {"h200", h200, {0}},       {"a100", a100, {0}}, {"l40s", l40s, {0}},
    {"rtx4090", rtx4090, {0}}, {"rtx3090", rtx3090, {0}}, {"t4", t4, {0}},
};

static void parse_all(void)
{
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char header[2];
        char *text = strdup(models[i].text); /* kept for good: the sections point into it */
        if (!text)
            abort();
        models[i].section = section_parse(&text, header, sizeof header);
        models[i].section.fallback = i ? &models[0].section : NULL;
    }
}

const Section *model_section(const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, parse_all);
    for (size_t i = 1; i < sizeof models / sizeof models[0]; i++)
        if (!strcmp(models[i].name, name))
            return &models[i].section;
    return NULL;
}
