// Look-ups in an open hash table.
static struct {
    unsigned key, value;
} table[1 << 16];

__attribute__((export_name("run"))) int run(int lookups) {
    unsigned seed = 7, result = 0;
    for (int i = 0; i < lookups; i++) {
        seed = seed * 1664525u + 1013904223u;
        const unsigned key = (seed >> 8) % 40000 + 1;
        unsigned slot = key * 2654435761u >> 16;
        while (table[slot].key != 0 && table[slot].key != key) slot = (slot + 1) & 0xffff;
        table[slot].key = key;
        table[slot].value += (unsigned)i;
        result ^= table[slot].value;
    }
    return (int)result;
}
