// An exception that leaves a noexcept function: the program's terminate handler runs and ends the process with its own status.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>

static void handler() {
    try {
        std::rethrow_exception(std::current_exception());
    } catch (const std::exception &e) {
        std::printf("terminate: %s\n", e.what());
    }
    std::fflush(stdout);
    std::_Exit(3);
}

static int fails(int n) { return n > 2 ? throw std::logic_error("not allowed out") : n; }
static int closed(int n) noexcept { return fails(n) + 1; }

int main() {
    std::set_terminate(handler);
    std::printf("%d\n", closed(1));
    return closed(3);
}
