/* One section of the state file: its lines, and a hash table to find them. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length && strchr(" \t\r", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static unsigned int hash_of(const char *key)
{
    unsigned int hash = 5381;
    while (*key)
        hash = 33 * hash + (unsigned char)*key++;
    return hash;
}

static unsigned int family_of(const char *key)
{
    static const struct {
        const char *word;
        unsigned int family;
    } words[] = {
        {"hang", HANG},   {"latency_ms", LATENCY}, {"latency_us", LATENCY},
        {"error", ERROR}, {"field", FIELD},        {"field_error", FIELD},
        {"not_supported", NOT_SUPPORTED},          {"field_latency_us", FIELD_LATENCY},
    };
    size_t length = strcspn(key, ".");
    const char *part = key + length + (key[length] == '.');
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i].word) == length && !strncmp(words[i].word, key, length))
            return words[i].family;
    return *part && !part[strspn(part, "0123456789")] ? PART : 0; /* as in nvlink_state.3 */
}

/* Where the key's number is, or would go. */
static unsigned int *place_of(const Section *section, const char *key, unsigned int hash)
{
    size_t at = hash & (section->index_size - 1);
    for (;; at = (at + 1) & (section->index_size - 1)) {
        unsigned int found = section->index[at];
        const Entry *entry = found ? &section->entries[found - 1] : NULL;
        if (!entry || (entry->hash == hash && !strcmp(entry->key, key)))
            return &section->index[at];
    }
}

static void make_index(Section *section)
{
    section->index_size = 16;
    while (section->index_size < 2 * section->count)
        section->index_size *= 2;
    section->index = calloc(section->index_size, sizeof *section->index);
    if (!section->index)
        abort();
    for (size_t i = 0; i < section->count; i++) {
        const Entry *entry = &section->entries[i];
        *place_of(section, entry->key, entry->hash) = (unsigned int)i + 1; /* the last one counts */
        section->families |= family_of(entry->key);
    }
}

/* Take the lines up to the next [header]; the strings stay where they are in the text. */
Section section_parse(char **text, char *header, size_t header_size)
{
    Section section = {0};
    size_t room = 0;
    header[0] = '\0';
    char *line;
    while ((line = strsep(text, "\n"))) {
        line = trim(line);
        if (!line[0] || line[0] == '#' || line[0] == ';')
            continue;
        if (line[0] == '[') {
            snprintf(header, header_size, "%s", line);
            break;
        }
        char *equals = strchr(line, '=');
        if (!equals) {
            fprintf(stderr, "fake nvml: a line of the state file is no key=value: %s\n", line);
            continue;
        }
        *equals = '\0';
        if (section.count == room) {
            room = room ? 2 * room : 16;
            section.entries = realloc(section.entries, room * sizeof(Entry));
            if (!section.entries)
                abort();
        }
        const char *key = trim(line);
        section.entries[section.count++] = (Entry){hash_of(key), key, trim(equals + 1)};
    }
    make_index(&section);
    return section;
}

void section_free(Section *section)
{
    free(section->entries);
    free(section->index);
}

bool section_has(const Section *section, unsigned int family)
{
    for (; section; section = section->fallback)
        if (section->families & family)
            return true;
    return false;
}

static const char *find(const Section *section, const char *key)
{
    unsigned int hash = hash_of(key);
    for (; section; section = section->fallback) {
        unsigned int found = section->index_size ? *place_of(section, key, hash) : 0;
        if (found)
            return section->entries[found - 1].value;
    }
    return NULL;
}

/* The value of a key, NULL if there is none; a value "@other" is that of the other key. */
const char *section_get(const Section *section, const char *key)
{
    const char *value = find(section, key);
    for (int hops = 0; value && value[0] == '@' && hops < 4; hops++)
        value = find(section, value + 1);
    return value;
}

long long section_number(const Section *section, const char *key, long long otherwise)
{
    const char *value = section_get(section, key);
    return value ? strtoll(value, NULL, 0) : otherwise;
}
