/* What the parts of the fake share: the state file, the calls made on it, and the readings taken from it. */
#ifndef FAKE_H
#define FAKE_H

/* Only what nvml.h declares is exported: the library is built with hidden visibility. */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#pragma GCC visibility push(default)
#include <nvml.h>
#pragma GCC visibility pop

#include <stdbool.h>
#include <stddef.h>

#define UUID_SIZE NVML_DEVICE_UUID_V2_BUFFER_SIZE
#define MAX_GPUS 64

typedef unsigned long long u64;

/* ---- section.c: the lines of one section, and how a key finds its value ---- */

typedef struct {
    unsigned int hash; /* of the key: lookups are many and long */
    const char *key;
    const char *value;
} Entry;

/* Families of keys that few sections have and every call would look for. */
enum { HANG = 1, LATENCY = 2, ERROR = 4, NOT_SUPPORTED = 8, FIELD = 16, FIELD_LATENCY = 32, PART = 64 };

typedef struct Section {
    Entry *entries;
    size_t count;
    unsigned int *index; /* a hash table: where in entries a key is, plus 1 */
    size_t index_size;   /* a power of 2, or 0 */
    unsigned int families;
    const struct Section *fallback; /* where a key is looked up that is not here: the model, then what all share */
} Section;

Section section_parse(char **text, char *header, size_t header_size);
void section_free(Section *section);
bool section_has(const Section *section, unsigned int family);
const char *section_get(const Section *section, const char *key);
long long section_number(const Section *section, const char *key, long long otherwise);

/* ---- state.c: the state file, read again whenever it changed ---- */

#define MAX_MIG 8
#define NO_INSTANCE 0xFFFFFFFFU

typedef struct {
    unsigned int slot, gi, ci;
    unsigned int slices, ci_slices; /* of the GPU instance, and those that the compute instance has of them */
    char profile[32];               /* as in a name: 1g.10gb, 1c.2g.20gb */
    char uuid[UUID_SIZE];
} Mig;

typedef struct {
    Section values;
    unsigned int position; /* among the file's [gpu] sections, also those that are missing */
    bool missing;
    bool mig_mode;
    char uuid[UUID_SIZE];
    Mig migs[MAX_MIG];
    unsigned int mig_count;
} Gpu;

typedef struct {
    int references;
    char *text;
    Section global;
    long long generation; /* when it changes, the driver was loaded anew */
    bool driver_gone;
    bool realistic;
    Gpu gpus[MAX_GPUS];
    unsigned int gpu_count;
} State;

#define LOOK_EVERY_US 2000 /* control.py waits for as long after each change */

const char *state_path(void);
const State *state_acquire(void);
void state_release(const State *state);
const Gpu *gpu_by_uuid(const State *state, const char *uuid);

/* ---- mig.c ---- */

void mig_parse(Gpu *gpu);
const Mig *mig_of(const Gpu *gpu, unsigned int gi, unsigned int ci);

/* ---- models.c: the readings of each model, in the state file's own format ---- */

const Section *model_section(const char *name);

/* ---- call.c: what every NVML call goes through ---- */

struct nvmlDevice_st {
    char uuid[UUID_SIZE]; /* of the GPU, also in the handle of a MIG device */
    unsigned int gi, ci;  /* of a MIG device; NO_INSTANCE for a whole GPU. A GPU instance alone has no ci */
    long long generation;
    unsigned int app_clock_mem; /* set by nvmlDeviceSetApplicationsClocks, 0: the default */
    unsigned int app_clock_graphics;
};

typedef struct {
    nvmlReturn_t result; /* the first failure */
    const State *state;
    const Gpu *gpu; /* NULL in a call on no GPU */
    const Mig *mig; /* NULL in a call on a whole GPU */
} Call;

nvmlReturn_t library_init(void);
nvmlReturn_t library_shutdown(void);
long long library_generation(void);

/* Begin a call: faults of the state file happen here. False: it failed, nothing to end, the result is in the call. */
bool begin(Call *call, nvmlDevice_t device, const char *function, const void *out);
bool begin_also_mig(Call *call, nvmlDevice_t device, const char *function, const void *out);
bool begin_global(Call *call, const char *function, const void *out);
bool begin_lookup(Call *call, const char *function, const Gpu *gpu);
nvmlReturn_t end(Call *call);
nvmlReturn_t fail(Call *call, nvmlReturn_t result);
nvmlDevice_t device_handle(const char *uuid, unsigned int gi, unsigned int ci);

/* ---- faults.c, errors.c, costs.c: what the state file asks for, and what calls take ---- */

bool hangs(const Section *section, const char *function);
double latency_us(const State *state, const Gpu *gpu, const char *function);
nvmlReturn_t error_of(const Section *section, const char *function);
nvmlReturn_t error_code(const char *name);
const char *error_text(nvmlReturn_t result);
double usual_cost_us(const char *function, bool realistic);
double usual_field_cost_us(unsigned int id);
void pause_us(double microseconds);
u64 now_us(void);
u64 monotonic_us(void);

/* ---- readings.c: values of the GPU of a call; a key that is absent or N/A fails the call with NOT_SUPPORTED ---- */

const char *text_of(Call *call, const char *key);
u64 reading(Call *call, const char *key);
u64 link_reading(Call *call, const char *key, unsigned int link);
bool link_usable(Call *call, unsigned int link);
u64 ecc_reading(Call *call, nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter, int location);
void copy_text(Call *call, char *to, unsigned int size, const char *text);
size_t number_list(const char *text, unsigned int *numbers, size_t most);
u64 mig_memory(Call *call);
u64 mig_reading(Call *call, const char *key);
double number_of(Call *call, const char *key, const char *text);
void not_in_mig_mode(Call *call);
nvmlReturn_t read_uint(nvmlDevice_t device, const char *function, const char *key, unsigned int *out);
nvmlReturn_t read_u64(nvmlDevice_t device, const char *function, const char *key, u64 *out);
nvmlReturn_t read_text(nvmlDevice_t device, const char *function, const char *key, char *to, unsigned int size);

/* The variant that stands for an old driver: NEWEST_FIELD is the last one that it knows. */
#ifdef FAKE_NVML_OLD
#define NEWEST_FIELD NVML_FI_DEV_NVLINK_SPEED_MBPS_L11
#define DRIVER_VERSION "440.33.01"
#define CUDA_VERSION "10020"
#define NVML_MAJOR "10"
#else
#define NEWEST_FIELD 307 /* of the header that nvidia-ml-py 13.615 is made from */
#define DRIVER_VERSION "550.90.07"
#define CUDA_VERSION "12040"
#define NVML_MAJOR "12"
#endif

#define ECC_TOTAL (-1) /* a location of ecc_reading: all memories together */

#endif
