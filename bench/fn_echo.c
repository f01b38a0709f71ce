/* The smallest function: reads its request whole, answers with a constant, or with its input when it is large. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    size_t room = 1 << 16, size = 0;
    char *text = malloc(room);
    for (ssize_t got; (got = read(0, text + size, room - size)) > 0;) {
        size += (size_t)got;
        if (size == room) text = realloc(text, room *= 2);
    }
    if (size < 1 << 20) return write(1, "{\"success\":true,\"output\":{\"ok\":true}}", 37) == 37 ? 0 : 1;
    if (write(1, "{\"success\":true,\"output\":", 25) != 25) return 1;
    for (size_t at = 0; at < size;) {
        const ssize_t done = write(1, text + at, size - at);
        if (done <= 0) return 1;
        at += (size_t)done;
    }
    return write(1, "}", 1) == 1 ? 0 : 1;
}
