// The compression function of SHA-256 with made-up constants, over 64 KiB a round.
static unsigned char text[65536];
static unsigned constants[64];

static unsigned rotate(unsigned x, int n) { return x >> n | x << (32 - n); }

static void block(unsigned* state, const unsigned char* bytes) {
    unsigned w[64];
    for (int i = 0; i < 16; i++) {
        w[i] = (unsigned)bytes[4 * i] << 24 | (unsigned)bytes[4 * i + 1] << 16 | (unsigned)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        const unsigned x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[i - 7] + (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
    }
    unsigned a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        const unsigned t = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
        const unsigned s = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + s;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

__attribute__((export_name("run"))) int run(int rounds) {
    unsigned state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int i = 0; i < 64; i++) constants[i] = (unsigned)i * 2654435761u;
    for (int i = 0; i < 65536; i++) text[i] = (unsigned char)(i * 7);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 65536; i += 64) block(state, text + i);
    }
    return (int)state[0];
}
