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

/* ---- state.c: the state file, read again whenever it changed ---- */

typedef struct {
    unsigned int hash; /* of the key: lookups are many and long */
    const char *key;
    const char *value;
} Entry;

typedef struct Section {
    Entry *entries;
    size_t count;
    const struct Section *fallback; /* where a key is looked up that is not here: the model, then what all share */
} Section;

typedef struct {
    Section values;
    unsigned int position; /* among the file's [gpu] sections, also those that are missing */
    bool missing;
    char uuid[UUID_SIZE];
} Gpu;

typedef struct {
    int references;
    char *text;
    Section global;
    Gpu gpus[MAX_GPUS];
    unsigned int gpu_count;
} State;

const State *state_acquire(void);
void state_release(const State *state);
Section section_parse(char **text, char *header, size_t header_size);
const char *section_get(const Section *section, const char *key);
const Gpu *gpu_by_uuid(const State *state, const char *uuid);

/* ---- models.c: the readings of each model, in the state file's own format ---- */

const Section *model_section(const char *name);

/* ---- call.c: what every NVML call goes through ---- */

struct nvmlDevice_st {
    char uuid[UUID_SIZE];
    unsigned int app_clock_mem; /* set by nvmlDeviceSetApplicationsClocks, 0: the default */
    unsigned int app_clock_graphics;
};

typedef struct {
    nvmlReturn_t result; /* the first failure */
    const State *state;
    const Gpu *gpu; /* NULL in a call on no GPU */
} Call;

nvmlReturn_t library_init(void);
nvmlReturn_t library_shutdown(void);

/* Begin a call: faults of the state file happen here. False: it failed, nothing to end, the result is in the call. */
bool begin(Call *call, nvmlDevice_t device, const char *function, const void *out);
bool begin_global(Call *call, const char *function, const void *out);
bool begin_lookup(Call *call, const char *function, const Gpu *gpu);
nvmlReturn_t end(Call *call);
nvmlReturn_t fail(Call *call, nvmlReturn_t result);
nvmlDevice_t device_handle(const char *uuid);
nvmlReturn_t gpu_error(const Gpu *gpu, const char *function);
nvmlReturn_t error_code(const char *name);
const char *error_text(nvmlReturn_t result);
void sleep_ms(double milliseconds);
u64 now_us(void);

/* ---- readings.c: values of the GPU of a call; a key that is absent or N/A fails the call with NOT_SUPPORTED ---- */

const char *text_of(Call *call, const char *key);
u64 reading(Call *call, const char *key);
u64 link_reading(Call *call, const char *key, unsigned int link);
bool link_usable(Call *call, unsigned int link);
u64 ecc_reading(Call *call, nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter, int location);
void copy_text(Call *call, char *to, unsigned int size, const char *text);
size_t number_list(const char *text, unsigned int *numbers, size_t most);
nvmlReturn_t read_uint(nvmlDevice_t device, const char *function, const char *key, unsigned int *out);
nvmlReturn_t read_u64(nvmlDevice_t device, const char *function, const char *key, u64 *out);
nvmlReturn_t read_text(nvmlDevice_t device, const char *function, const char *key, char *to, unsigned int size);

#define ECC_TOTAL (-1) /* a location of ecc_reading: all memories together */

#endif
