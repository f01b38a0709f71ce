// Product of two dense matrices, `rounds` times.
enum { size = 96 };
static double a[size][size], b[size][size], c[size][size];

__attribute__((export_name("run"))) int run(int rounds) {
    for (int i = 0; i < size; i++) {
        for (int j = 0; j < size; j++) {
            a[i][j] = i * 0.5 + j;
            b[i][j] = i - j * 0.25;
        }
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < size; i++) {
            for (int j = 0; j < size; j++) {
                double sum = 0;
                for (int k = 0; k < size; k++) sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        }
    }
    return (int)c[5][7];
}
