// How many ways `size` queens stand on a board.
static int place(int size, unsigned columns, unsigned left, unsigned right) {
    const unsigned all = (1u << size) - 1;
    if (columns == all) return 1;
    int ways = 0;
    for (unsigned free = all & ~(columns | left | right); free != 0;) {
        const unsigned square = free & -free;
        free -= square;
        ways += place(size, columns | square, (left | square) << 1, (right | square) >> 1);
    }
    return ways;
}

__attribute__((export_name("run"))) int run(int size) { return place(size, 0, 0, 0); }
