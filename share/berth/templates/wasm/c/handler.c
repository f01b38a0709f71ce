// Reads a JSON object on standard input and answers with one on standard output: {"name":"Ada"} -> {"greeting":"Hello, Ada!"}.
#include <stdio.h>
#include <string.h>

int main(void) {
    static char input[65536];
    const size_t size = fread(input, 1, sizeof input - 1, stdin);
    input[size] = '\0';
    // Enough for a start: the text behind "name", as it stands there. Use a JSON library for more.
    const char *name = strstr(input, "\"name\"");
    const char *from = name != NULL ? strchr(name + 6, '"') : NULL;
    const char *to = from != NULL ? strchr(from + 1, '"') : NULL;
    if (to == NULL) {
        from = "\"World";
        to = from + 6;
    }
    printf("{\"greeting\":\"Hello, %.*s!\"}\n", (int)(to - from - 1), from + 1);
    return 0;
}
