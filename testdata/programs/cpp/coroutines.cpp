// C++20 coroutines: a generator, a lazily awaited task with a value and with an exception, frames destroyed half way.
#include <coroutine>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <utility>

template <class T> struct Generator {
    struct promise_type {
        T current;
        std::exception_ptr error;
        Generator get_return_object() { return Generator{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(T v) { current = v; return {}; }
        void return_void() {}
        void unhandled_exception() { error = std::current_exception(); }
    };
    std::coroutine_handle<promise_type> handle;
    explicit Generator(std::coroutine_handle<promise_type> h) : handle(h) {}
    Generator(Generator &&o) noexcept : handle(std::exchange(o.handle, nullptr)) {}
    ~Generator() { if (handle) handle.destroy(); }
    bool next() {
        handle.resume();
        if (handle.promise().error)
            std::rethrow_exception(handle.promise().error);
        return !handle.done();
    }
    T value() const { return handle.promise().current; }
};

template <class T> struct Task {
    struct promise_type {
        T result{};
        std::exception_ptr error;
        std::coroutine_handle<> waiter;
        Task get_return_object() { return Task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        struct Resume {
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
                return h.promise().waiter ? h.promise().waiter : std::noop_coroutine();
            }
            void await_resume() noexcept {}
        };
        Resume final_suspend() noexcept { return {}; }
        void return_value(T v) { result = v; }
        void unhandled_exception() { error = std::current_exception(); }
    };
    std::coroutine_handle<promise_type> handle;
    explicit Task(std::coroutine_handle<promise_type> h) : handle(h) {}
    Task(Task &&o) noexcept : handle(std::exchange(o.handle, nullptr)) {}
    ~Task() { if (handle) handle.destroy(); }
    bool await_ready() { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> w) { handle.promise().waiter = w; return handle; }
    T await_resume() {
        if (handle.promise().error)
            std::rethrow_exception(handle.promise().error);
        return handle.promise().result;
    }
};

struct Trace {
    const char *name;
    ~Trace() { std::printf("  end of %s\n", name); }
};

static Generator<long> fibonacci(int limit) {
    Trace t{"fibonacci"};
    long a = 0, b = 1;
    for (int i = 0; i < limit; i++) {
        co_yield a;
        b = std::exchange(a, b) + b;
    }
}
static Generator<int> failing() {
    co_yield 1;
    co_yield 2;
    throw std::runtime_error("generator failed");
}
static Task<int> leaf(int n) {
    if (n == 13)
        throw std::out_of_range("thirteen");
    co_return n * 2;
}
static Task<int> tree(int depth, int n) {
    if (depth == 0)
        co_return co_await leaf(n);
    int left = co_await tree(depth - 1, n), right = co_await tree(depth - 1, n + 1);
    co_return left + right;
}
static Task<int> guarded(int depth, int n) {
    Trace t{"guarded"};
    try {
        co_return co_await tree(depth, n);
    } catch (const std::out_of_range &e) {
        std::printf("  caught %s\n", e.what());
    }
    co_return -1;
}
template <class T> static T run(Task<T> t) {
    t.handle.resume();
    return t.await_resume();
}

int main() {
    {
        auto g = fibonacci(12);
        while (g.next())
            std::printf("%ld ", g.value());
        std::printf("\n");
    }
    {
        auto half = fibonacci(1000000);
        for (int i = 0; i < 50; i++)
            half.next();
        std::printf("fiftieth %ld\n", half.value());
    }
    auto f = failing();
    try {
        while (f.next())
            std::printf("%d\n", f.value());
    } catch (const std::exception &e) {
        std::printf("%s\n", e.what());
    }
    std::printf("tree %d\n", run(guarded(6, 100)));
    std::printf("tree %d\n", run(guarded(3, 10)));
    return 0;
}
