#include "statics.h"
static int sum(int n) { return n ? n + sum(n - 1) : 0; }
Noisy other_first("other first", sum(10));
Noisy other_second("other second", other_first.value + 1);
static const int dynamic_constant = sum(5) * other_second.value;
int computed() { return dynamic_constant; }
Noisy &lazy(int value) {
    static Noisy once("lazy", value);
    once.value++;
    return once;
}
