/* Arguments, environment, standard input and files: counts words of stdin, sums numbers of argv, writes and reads a temporary file. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static void arguments(int argc, char **argv) {
    long sum = 0;
    for (int i = 1; i < argc; i++) {
        char *end;
        long v = strtol(argv[i], &end, 10);
        printf("arg %d '%s'%s\n", i, argv[i], *end || end == argv[i] ? "" : " number");
        sum += *end ? 0 : v;
    }
    printf("sum %ld, argv[argc] %s, argv[0] %s\n", sum, argv[argc] ? "set" : "null", argv[0] && *argv[0] ? "set" : "empty");
}

static void environment(void) {
    const char *value = getenv("LIVEJIT_TEST_VALUE");
    printf("environment '%s' %s\n", value ? value : "(none)", getenv("LIVEJIT_TEST_ABSENT") ? "present" : "absent");
    setenv("LIVEJIT_TEST_ABSENT", "now set", 1);
    int count = 0;
    for (char **e = environ; *e; e++)
        count += strncmp(*e, "LIVEJIT_TEST_", 13) == 0;
    printf("set '%s', %d of ours\n", getenv("LIVEJIT_TEST_ABSENT"), count);
    unsetenv("LIVEJIT_TEST_ABSENT");
}

static void input(void) {
    char line[256];
    int lines = 0, words = 0, letters = 0;
    while (fgets(line, sizeof line, stdin)) {
        lines++;
        for (char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n")) {
            words++;
            for (char *c = word; *c; c++)
                letters += isalpha((unsigned char)*c) != 0, *c = (char)toupper((unsigned char)*c);
            printf("%s ", word);
        }
        printf("\n");
    }
    printf("lines %d words %d letters %d eof %d\n", lines, words, letters, feof(stdin) != 0);
}

static int files(void) {
    FILE *f = tmpfile();
    if (!f)
        return 1;
    for (int i = 0; i < 100; i++)
        fprintf(f, "%d %d\n", i, i * i);
    rewind(f);
    int a, b, sum = 0, n = 0;
    while (fscanf(f, "%d %d", &a, &b) == 2)
        sum += b - a, n++;
    fseek(f, -6, SEEK_END);
    char tail[8] = "";
    size_t got = fread(tail, 1, sizeof tail - 1, f);
    printf("records %d sum %d tail %zu '%.4s'\n", n, sum, got, tail);
    fclose(f);
    f = fopen("/nonexistent/file", "r");
    printf("open: %s\n", f ? "opened" : strerror(errno));
    return 0;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 256);
    arguments(argc, argv);
    environment();
    input();
    return files();
}
