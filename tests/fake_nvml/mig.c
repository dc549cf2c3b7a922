/* MIG: "mig=<slot>:<profile>:<GPU instance>[:<compute instance>] ..." of the state file, and calls on its devices. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name-based UUID, as the driver's are: the same instance of the same GPU has the same one again. */
static void make_uuid(const Gpu *gpu, Mig *mig)
{
    char name[UUID_SIZE + 32];
    snprintf(name, sizeof name, "%s/%u/%u", gpu->uuid, mig->gi, mig->ci);
    u64 a = 14695981039346656037ULL, b = a ^ 0x5bd1e995;
    for (const char *at = name; *at; at++) {
        a = (a ^ (unsigned char)*at) * 1099511628211ULL;
        b = (b ^ (unsigned char)*at) * 1099511628211ULL + (a >> 32);
    }
    snprintf(mig->uuid, sizeof mig->uuid, "MIG-%08x-%04x-5%03x-8%03x-%012llx", (unsigned int)(a >> 32),
             (unsigned int)(a >> 16) & 0xFFFF, (unsigned int)a & 0xFFF, (unsigned int)(b >> 48) & 0xFFF,
             b & 0xFFFFFFFFFFFFULL);
}

static bool parse_one(const char *text, Mig *mig)
{
    *mig = (Mig){0};
    if (sscanf(text, "%u:%31[^:]:%u:%u", &mig->slot, mig->profile, &mig->gi, &mig->ci) < 3)
        return false;
    if (sscanf(mig->profile, "%uc.%ug", &mig->ci_slices, &mig->slices) != 2) {
        if (sscanf(mig->profile, "%ug", &mig->slices) != 1)
            return false;
        mig->ci_slices = mig->slices;
    }
    return true;
}

void mig_parse(Gpu *gpu)
{
    gpu->mig_mode = section_number(&gpu->values, "mig_mode", 0) == 1;
    const char *text = gpu->mig_mode ? section_get(&gpu->values, "mig") : NULL;
    while (text && *(text += strspn(text, ",; ")) && gpu->mig_count < MAX_MIG) {
        char one[64];
        size_t length = strcspn(text, ",; ");
        snprintf(one, sizeof one, "%.*s", (int)length, text);
        Mig *mig = &gpu->migs[gpu->mig_count];
        if (parse_one(one, mig)) {
            make_uuid(gpu, mig);
            gpu->mig_count++;
        } else {
            fprintf(stderr, "fake nvml: mig: %s is no slot:profile:instance\n", one);
        }
        text += length;
    }
}

/* A compute instance, or with NO_INSTANCE as `ci` any one of the GPU instance. */
const Mig *mig_of(const Gpu *gpu, unsigned int gi, unsigned int ci)
{
    for (unsigned int i = 0; i < gpu->mig_count; i++)
        if (gpu->migs[i].gi == gi && (ci == NO_INSTANCE || gpu->migs[i].ci == ci))
            return &gpu->migs[i];
    return NULL;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *currentMode, unsigned int *pendingMode)
{
    Call call;
    if (!begin(&call, device, __func__, pendingMode ? currentMode : NULL))
        return call.result;
    *currentMode = (unsigned int)reading(&call, "mig_mode");
    *pendingMode = (unsigned int)reading(&call, "mig_pending");
    return end(&call);
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *isMigDevice)
{
    Call call;
    if (!begin_also_mig(&call, device, __func__, isMigDevice))
        return call.result;
    *isMigDevice = call.mig != NULL;
    return end(&call);
}

/* "Returns zero if MIG is not supported or enabled", says nvml.h. */
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    Call call;
    if (!begin(&call, device, __func__, count))
        return call.result;
    *count = call.gpu->mig_mode ? (unsigned int)reading(&call, "max_mig_devices") : 0;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *migDevice)
{
    Call call;
    if (!begin(&call, device, __func__, migDevice))
        return call.result;
    const Mig *found = NULL;
    for (unsigned int i = 0; i < call.gpu->mig_count; i++)
        if (call.gpu->migs[i].slot == index)
            found = &call.gpu->migs[i];
    reading(&call, "mig_mode"); /* NOT_SUPPORTED where there is no MIG */
    if (call.gpu->mig_mode && index >= reading(&call, "max_mig_devices"))
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    else if (!found)
        fail(&call, NVML_ERROR_NOT_FOUND);
    if (call.result == NVML_SUCCESS) {
        *migDevice = device_handle(call.gpu->uuid, found->gi, found->ci);
        if (!*migDevice)
            fail(&call, NVML_ERROR_MEMORY);
    }
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t migDevice, nvmlDevice_t *device)
{
    Call call;
    if (!begin_also_mig(&call, migDevice, __func__, device))
        return call.result;
    if (!call.mig)
        fail(&call, NVML_ERROR_INVALID_ARGUMENT);
    else
        *device = device_handle(call.gpu->uuid, NO_INSTANCE, NO_INSTANCE);
    return end(&call);
}

/* For calls that have an answer for MIG devices alone: nvml.h asks for their handles only. */
static bool begin_mig(Call *call, nvmlDevice_t device, const char *function, const void *out)
{
    if (!begin_also_mig(call, device, function, out))
        return false;
    if (call->mig)
        return true;
    reading(call, "mig_mode"); /* NOT_SUPPORTED where there is no MIG */
    fail(call, NVML_ERROR_INVALID_ARGUMENT);
    end(call);
    return false;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id)
{
    Call call;
    if (!begin_mig(&call, device, __func__, id))
        return call.result;
    *id = call.mig->gi;
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id)
{
    Call call;
    if (!begin_mig(&call, device, __func__, id))
        return call.result;
    *id = call.mig->ci;
    return end(&call);
}

/* A profile that the GPU has: "mig_profiles=<name>:<ID>:<multiprocessors>:<MiB> ..." */
typedef struct {
    char name[16];
    unsigned int id, multiprocessors, slices;
    u64 mib;
} Profile;

static bool profile_where(Call *call, bool (*fits)(const Profile *, const void *), const void *wanted, Profile *profile)
{
    const char *text = text_of(call, "mig_profiles");
    while (text && *(text += strspn(text, " "))) {
        if (sscanf(text, "%15[^:]:%u:%u:%llu", profile->name, &profile->id, &profile->multiprocessors,
                   &profile->mib) != 4)
            break;
        profile->slices = (unsigned int)atoi(profile->name);
        if (fits(profile, wanted))
            return true;
        text += strcspn(text, " ");
    }
    fail(call, NVML_ERROR_NOT_SUPPORTED);
    return false;
}

static bool has_name(const Profile *profile, const void *name)
{
    return !strcmp(profile->name, name);
}

static bool has_id(const Profile *profile, const void *id)
{
    return profile->id == *(const unsigned int *)id;
}

static bool profile_of(Call *call, const Mig *mig, Profile *profile)
{
    const char *of_instance = strstr(mig->profile, "c.");
    return profile_where(call, has_name, of_instance ? of_instance + 2 : mig->profile, profile);
}

/* The device memory of the MIG device of a call. */
u64 mig_memory(Call *call)
{
    Profile profile;
    return profile_of(call, call->mig, &profile) ? profile.mib << 20 : 0;
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
    Call call;
    if (!begin_mig(&call, device, __func__, attributes))
        return call.result;
    Profile profile;
    if (profile_of(&call, call.mig, &profile))
        *attributes = (nvmlDeviceAttributes_t){
            .multiprocessorCount = profile.multiprocessors * call.mig->ci_slices / call.mig->slices,
            .sharedCopyEngineCount = call.mig->slices,
            .gpuInstanceSliceCount = call.mig->slices,
            .computeInstanceSliceCount = call.mig->ci_slices,
            .memorySizeMB = profile.mib,
        };
    return end(&call);
}

/* The profile IDs of NVML_GPU_INSTANCE_PROFILE_*, as nvidia-smi mig -lgip lists them. */
static bool find_profile(Call *call, unsigned int wanted, Profile *profile)
{
    static const int ids[NVML_GPU_INSTANCE_PROFILE_COUNT] = {19, 14, 9,  5,  0,  -1, -1, 20, -1,
                                                             15, -1, -1, -1, -1, -1, -1, -1};
    unsigned int id = wanted < NVML_GPU_INSTANCE_PROFILE_COUNT ? (unsigned int)ids[wanted] : 0;
    if (wanted >= NVML_GPU_INSTANCE_PROFILE_COUNT)
        fail(call, NVML_ERROR_INVALID_ARGUMENT);
    return call->result == NVML_SUCCESS && profile_where(call, has_id, &id, profile);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t device, unsigned int profile,
                                                 nvmlGpuInstanceProfileInfo_t *info)
{
    Call call;
    if (!begin(&call, device, __func__, info))
        return call.result;
    Profile found;
    if (find_profile(&call, profile, &found))
        *info = (nvmlGpuInstanceProfileInfo_t){.id = found.id,
                                               .sliceCount = found.slices,
                                               .instanceCount = 7 / found.slices,
                                               .multiprocessorCount = found.multiprocessors,
                                               .copyEngineCount = found.slices,
                                               .memorySizeMB = found.mib};
    return end(&call);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoV(nvmlDevice_t device, unsigned int profile,
                                                  nvmlGpuInstanceProfileInfo_v2_t *info)
{
    Call call;
    if (!begin(&call, device, __func__, info))
        return call.result;
    Profile found;
    nvmlGpuInstanceProfileInfo_v3_t *newer = (nvmlGpuInstanceProfileInfo_v3_t *)info;
    if (info->version != nvmlGpuInstanceProfileInfo_v2 && info->version != nvmlGpuInstanceProfileInfo_v3) {
        fail(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    } else if (find_profile(&call, profile, &found)) {
        if (info->version == nvmlGpuInstanceProfileInfo_v2) {
            *info = (nvmlGpuInstanceProfileInfo_v2_t){info->version, found.id, 0, found.slices, 7 / found.slices,
                                                      found.multiprocessors, found.slices, 0, 0, 0, 0, found.mib, ""};
            snprintf(info->name, sizeof info->name, "MIG %s", found.name);
        } else {
            *newer = (nvmlGpuInstanceProfileInfo_v3_t){info->version, found.id, found.slices, 7 / found.slices,
                                                       found.multiprocessors, found.slices, 0, 0, 0, 0, found.mib,
                                                       "", 0};
            snprintf(newer->name, sizeof newer->name, "MIG %s", found.name);
        }
    }
    return end(&call);
}

/* A GPU instance's handle is a device's without a compute instance: good for nvmlGpuInstanceGetInfo only. */
nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *gpuInstance)
{
    Call call;
    if (!begin(&call, device, __func__, gpuInstance))
        return call.result;
    if (!call.gpu->mig_mode)
        fail(&call, NVML_ERROR_NOT_SUPPORTED);
    else if (!mig_of(call.gpu, id, NO_INSTANCE))
        fail(&call, NVML_ERROR_NOT_FOUND);
    else
        *gpuInstance = (nvmlGpuInstance_t)(void *)device_handle(call.gpu->uuid, id, NO_INSTANCE);
    return end(&call);
}

nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t gpuInstance, nvmlGpuInstanceInfo_t *info)
{
    Call call;
    if (!begin_mig(&call, (nvmlDevice_t)(void *)gpuInstance, __func__, info))
        return call.result;
    Profile profile;
    if (profile_of(&call, call.mig, &profile))
        *info = (nvmlGpuInstanceInfo_t){device_handle(call.gpu->uuid, NO_INSTANCE, NO_INSTANCE), call.mig->gi,
                                        profile.id, {call.mig->slot, profile.slices}};
    return end(&call);
}
