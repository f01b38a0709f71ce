// Copies and fills of all lengths: bulk operations of the format.
static unsigned char from[70000], to[70000];

__attribute__((export_name("run"))) int run(int rounds) {
    unsigned sum = 0;
    for (int round = 0; round < rounds; round++) {
        for (unsigned length = 1; length < 65536; length = length * 3 / 2 + 1) {
            __builtin_memset(from, (int)length, length);
            __builtin_memcpy(to + (length & 63), from, length);
            __builtin_memmove(to + 1, to, length);
            sum = sum * 31 + to[length / 2];
        }
    }
    return (int)sum;
}
