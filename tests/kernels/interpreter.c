// A bytecode interpreter: one big switch in a loop.
enum { push, add, multiply, less, jump_if, load, store, halt };

__attribute__((export_name("run"))) int run(int rounds) {
    // i = 0, s = 0; do { s = s * 3 + i; i = i + 1; } while (i < rounds); answer s
    const int program[] = {push, 0, store, 0, push, 0, store, 1, load, 1, push, 3, multiply, load, 0, add, store, 1, load, 0, push, 1, add,
                           store, 0, load, 0, load, 2, less, jump_if, 8, load, 1, halt};
    unsigned stack[16], variables[3] = {0, 0, (unsigned)rounds};
    int top = 0;
    for (int at = 0;;) {
        switch (program[at++]) {
            case push: stack[top++] = (unsigned)program[at++]; break;
            case add: top--, stack[top - 1] += stack[top]; break;
            case multiply: top--, stack[top - 1] *= stack[top]; break;
            case less: top--, stack[top - 1] = stack[top - 1] < stack[top]; break;
            case jump_if: at = stack[--top] != 0 ? program[at] : at + 1; break;
            case load: stack[top++] = variables[program[at++]]; break;
            case store: variables[program[at++]] = stack[--top]; break;
            default: return (int)stack[top - 1];
        }
    }
}
