// Static objects: order inside a file, init_priority over files, arrays, local statics, destruction in reverse, atexit in between.
#include <cstdlib>
#include "statics.h"

static Noisy plain("plain", 1);
static Noisy list[] = {{"list 0", 10}, {"list 1", 11}};
__attribute__((init_priority(200))) static Noisy late("priority 200", 200);
__attribute__((init_priority(150))) static Noisy early("priority 150", 150);
static Noisy &reference = *new Noisy("heap, never destroyed", 5);

namespace {
struct Holder {
    Noisy inner{"inner", 7};
    Holder() { std::printf("holder sees %d\n", inner.value + plain.value); }
} holder;
}

static void handler() { std::printf("atexit handler\n"); }

int main() {
    std::printf("main\n");
    std::atexit(handler);
    static Noisy local("local of main", 30);
    {
        Noisy automatic("automatic", 31);
    }
    lazy(100);
    int again = lazy(200).value;
    std::printf("lazy %d %d, computed %d, reference %d\n", again, lazy(300).value, computed(), reference.value);
    return local.value - 27;
}
