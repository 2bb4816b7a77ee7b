// Exceptions: over files and C frames, by value, base and pointer, rethrown, from constructors, in function-try blocks, nested, kept for later.
#include <cstdlib>
#include <memory>
#include <vector>
#include "exceptions.h"

static const char *classify(int kind) {
    try {
        Trace t("classify");
        other_throws(kind);
        return "nothing";
    } catch (int v) {
        std::printf("  int %d\n", v);
        return "int";
    } catch (const Special &s) {
        std::printf("  special %d\n", s.code);
        return "special";
    } catch (const Failure &f) {
        std::printf("  failure %s %d\n", f.what(), f.code);
        return "failure";
    } catch (const std::string &s) {
        return s.size() > 10 ? "string" : "short string";
    } catch (const char *p) {
        return p;
    } catch (const std::exception &) {
        return "exception of the library";
    } catch (...) {
        return "something";
    }
}

struct Member {
    explicit Member(int n) : name("member") {
        if (n > 1)
            throw Failure("member " + std::to_string(n), n);
    }
    Trace name;
};
struct Whole {
    Trace before{"before"};
    Member member;
    explicit Whole(int n) try : member(n) {
        if (n == 1)
            throw 11;
    } catch (int v) {
        std::printf("  function-try: int %d\n", v);
        throw Failure("translated", v);
    } catch (const Failure &) {
        std::printf("  function-try: failure\n");
    }
};

static int rethrows(int kind) {
    try {
        return other_throws(kind);
    } catch (...) {
        Trace t("rethrows");
        throw;
    }
}

static int nested(int depth) {
    try {
        if (depth == 0)
            throw Failure("bottom", 0);
        return nested(depth - 1);
    } catch (...) {
        std::throw_with_nested(std::runtime_error("level " + std::to_string(depth)));
    }
}

static void print_nested(const std::exception &e, int level) {
    std::printf("%*s%s\n", level * 2, "", e.what());
    try {
        std::rethrow_if_nested(e);
    } catch (const std::exception &inner) {
        print_nested(inner, level + 1);
    }
}

static int compare_throwing(const void *a, const void *b) {
    int x = *static_cast<const int *>(a), y = *static_cast<const int *>(b);
    if (x == 3 || y == 3)
        throw Failure("compare", 3);
    return x - y;
}

static long deep(int n) {
    Trace *t = n % 500 == 0 ? new Trace("deep") : nullptr;
    std::unique_ptr<Trace> hold(t);
    if (n == 0)
        throw n;
    return deep(n - 1) + 1;
}

static int uncaught_while_unwinding;
struct Observer {
    ~Observer() { uncaught_while_unwinding = std::uncaught_exceptions(); }
};

int main() {
    for (int kind = 0; kind < 8; kind++)
        std::printf("%d: %s\n", kind, classify(kind));
    int caught = other_catches(rethrows, 2), quiet = other_catches(other_throws, 0);
    std::printf("other: %d %d\n", caught, quiet);
    for (int n = 0; n < 3; n++)
        try {
            Whole w(n);
            std::printf("whole %d\n", n);
        } catch (const Failure &f) {
            std::printf("failed: %s\n", f.what());
        }
    try {
        nested(3);
    } catch (const std::exception &e) {
        print_nested(e, 1);
    }
    try {
        std::printf("%d\n", other_without_handlers(rethrows, 3));
    } catch (const Failure &f) {
        std::printf("through C: %s %d\n", f.what(), f.code);
    }
    try {
        int v[] = {5, 4, 3, 2, 1};
        std::qsort(v, 5, sizeof v[0], compare_throwing);
    } catch (const Failure &f) {
        std::printf("through qsort: %s\n", f.what());
    }
    try {
        deep(2000);
    } catch (int v) {
        std::printf("deep %d\n", v);
    }
    std::vector<std::exception_ptr> kept;
    for (int kind = 0; kind < 5; kind++)
        kept.push_back(other_keeps(kind));
    for (auto &e : kept)
        try {
            if (e)
                std::rethrow_exception(e);
            std::printf("kept nothing\n");
        } catch (const Failure &f) {
            std::printf("kept failure %d\n", f.code);
        } catch (...) {
            std::printf("kept something else\n");
        }
    try {
        Observer o;
        throw 1;
    } catch (int) {
    }
    std::printf("uncaught %d, now %d\n", uncaught_while_unwinding, std::uncaught_exceptions());
    try {
        volatile std::size_t huge = static_cast<std::size_t>(-1) / 8;
        int *volatile memory = new int[huge];
        delete[] memory;
    } catch (const std::bad_alloc &) {
        std::printf("bad_alloc\n");
    }
    long sum = 0;
    for (int i = 0; i < 2000; i++)
        try {
            if (i % 3 == 0)
                throw static_cast<long>(i);
            sum++;
        } catch (long v) {
            sum += v;
        }
    std::printf("many %ld\n", sum);
    return 0;
}
