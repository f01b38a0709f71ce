// Traps at known lines; built with line tables by build.sh.
static int memory[4];

__attribute__((noinline)) static int divide(int a, int b) {
    return a / b;  // line 5
}

__attribute__((export_name("divide"))) int run_divide(int b) {
    int sum = 0;
    for (int i = 0; i < 3; i++) sum += i * b;
    return sum + divide(100, b);  // line 11
}

__attribute__((export_name("load"))) int run_load(int index) {
    volatile int* at = memory + index;
    return *at + 1;  // line 16
}
