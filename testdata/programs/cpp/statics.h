#include <cstdio>
struct Noisy {
    const char *name;
    int value;
    Noisy(const char *n, int v) : name(n), value(v) { std::printf("construct %s %d\n", name, value); }
    ~Noisy() { std::printf("destroy %s %d\n", name, value); }
};
extern Noisy other_first, other_second;
Noisy &lazy(int value);
int computed();
