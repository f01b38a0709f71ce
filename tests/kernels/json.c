// Recursive descent over a JSON text.
static char text[1 << 16];
static int at;

static void skip_space(void) {
    while (text[at] == ' ' || text[at] == '\n') at++;
}

static int string(void) {
    int sum = 0;
    for (at++; text[at] != '"'; at++) {
        if (text[at] == '\\') at++;
        sum = (int)((unsigned)sum * 31u + (unsigned)text[at]);
    }
    at++;
    return sum;
}

static int value(void) {
    unsigned sum = 0;
    skip_space();
    if (text[at] == '{') {
        for (at++, skip_space(); text[at] != '}'; skip_space()) {
            if (text[at] == ',') at++;
            skip_space();
            sum ^= (unsigned)string();
            skip_space();
            at++;
            sum += (unsigned)value();
        }
        at++;
    } else if (text[at] == '[') {
        for (at++, skip_space(); text[at] != ']'; skip_space()) {
            if (text[at] == ',') at++;
            sum = sum * 3 + (unsigned)value();
        }
        at++;
    } else if (text[at] == '"') {
        sum = (unsigned)string();
    } else {
        while ((text[at] >= '0' && text[at] <= '9') || text[at] == '-' || text[at] == '.') sum = sum * 10 + (unsigned)(text[at++] - '0');
    }
    return (int)sum;
}

__attribute__((export_name("run"))) int run(int rounds) {
    const char* element = "{\"name\": \"Ada Lovelace\", \"tags\": [1, 22, 333, -4.5], \"more\": {\"key\": \"v\\\"x\", \"list\": []}},";
    int end = 0;
    text[end++] = '[';
    for (int i = 0; i < 700; i++) {
        for (const char* c = element; *c != 0; c++) text[end++] = *c;
    }
    text[end - 1] = ']';
    unsigned result = 0;
    for (int round = 0; round < rounds; round++) {
        at = 0;
        result += (unsigned)value();
    }
    return (int)result;
}
