// Relaxation on a grid: a chain of additions and one division a point.
enum { size = 128 };
static double grid[size][size];

__attribute__((export_name("run"))) int run(int rounds) {
    for (int i = 0; i < size; i++) {
        for (int j = 0; j < size; j++) grid[i][j] = (i * j % 17) * 0.1;
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 1; i < size - 1; i++) {
            for (int j = 1; j < size - 1; j++) {
                grid[i][j] = (grid[i - 1][j - 1] + grid[i - 1][j] + grid[i - 1][j + 1] + grid[i][j - 1] + grid[i][j] + grid[i][j + 1] +
                              grid[i + 1][j - 1] + grid[i + 1][j] + grid[i + 1][j + 1]) / 9.0;
            }
        }
    }
    return (int)(grid[60][60] * 1e6);
}
