// Quicksort with insertion below sixteen, of numbers that are made anew each round.
enum { count = 50000 };
static int numbers[count];

static void sort(int* a, int n) {
    while (n > 16) {
        const int pivot = a[n / 2];
        int i = 0, j = n - 1;
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (a[j] > pivot) j--;
            if (i > j) break;
            const int swapped = a[i];
            a[i++] = a[j];
            a[j--] = swapped;
        }
        if (j + 1 < n - i) {
            sort(a, j + 1);
            a += i;
            n -= i;
        } else {
            sort(a + i, n - i);
            n = j + 1;
        }
    }
    for (int i = 1; i < n; i++) {
        const int moved = a[i];
        int j = i;
        for (; j > 0 && a[j - 1] > moved; j--) a[j] = a[j - 1];
        a[j] = moved;
    }
}

__attribute__((export_name("run"))) int run(int rounds) {
    unsigned seed = 1;
    int result = 0;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            numbers[i] = (int)(seed >> 4);
        }
        sort(numbers, count);
        result ^= numbers[777];
    }
    return result;
}
