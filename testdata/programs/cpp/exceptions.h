#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
struct Trace {
    const char *name;
    explicit Trace(const char *n) : name(n) {}
    ~Trace() { std::printf("  unwind %s\n", name); }
};
struct Failure : std::runtime_error {
    int code;
    Failure(const std::string &what, int c) : std::runtime_error(what), code(c) {}
};
struct Special : virtual Failure {
    explicit Special(int c) : Failure("special", c) {}
};
int other_throws(int kind);
int other_catches(int (*callback)(int), int arg);
std::exception_ptr other_keeps(int kind);
extern "C" int other_without_handlers(int (*callback)(int), int arg);
