#include "exceptions.h"
int other_throws(int kind) {
    Trace t("other_throws");
    switch (kind) {
    case 0: return 5;
    case 1: throw 42;
    case 2: throw Failure("a failure", 7);
    case 3: throw Special(8);
    case 4: throw std::string("a string long enough not to be kept in place");
    case 5: throw "a pointer";
    case 6: return std::string("abc").at(10);
    case 7: throw Trace("thrown by value");
    }
    return kind;
}
int other_catches(int (*callback)(int), int arg) {
    try {
        Trace t("other_catches");
        return callback(arg);
    } catch (const Failure &f) {
        std::printf("  other caught %s %d\n", f.what(), f.code);
        return -f.code;
    }
}
std::exception_ptr other_keeps(int kind) {
    try {
        other_throws(kind);
    } catch (...) {
        return std::current_exception();
    }
    return nullptr;
}
extern "C" int other_without_handlers(int (*callback)(int), int arg) { return callback(arg) + 1; }
