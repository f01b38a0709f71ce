/* A function in C: reads the request, looks for the name in it, writes the answer. */
#include <stdio.h>
#include <string.h>

int main(void) {
    static char request[65536];
    const size_t size = fread(request, 1, sizeof request - 1, stdin);
    request[size] = '\0';
    char name[81] = "World";
    const char *input = strstr(request, "\"input\":{");
    const char *found = input ? strstr(input, "\"name\":\"") : NULL;
    if (found) sscanf(found + 8, "%80[^\"\\]", name);
    printf("{\"success\":true,\"output\":{\"message\":\"Hello, %s!\",\"runtime\":\"exec\"}}\n", name);
    return 0;
}
