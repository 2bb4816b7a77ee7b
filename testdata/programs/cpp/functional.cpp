// Lambdas and std::function: captures, mutable state, recursion, generic lambdas, bind, function objects kept and compared.
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

static int plain(int a, int b) { return a * 10 + b; }
struct Adder {
    int base;
    int operator()(int n) const { return base + n; }
    int add(int n) { return base += n; }
};
static std::function<int()> counter(int start) {
    return [start]() mutable { return start++; };
}
static auto compose = [](auto f, auto g) { return [=](auto x) { return g(f(x)); }; };

int main() {
    std::vector<std::function<int(int)>> list;
    for (int i = 0; i < 3; i++)
        list.push_back([i](int n) { return n * i; });
    list.push_back(Adder{1000});
    list.push_back(std::bind(plain, std::placeholders::_1, 7));
    Adder adder{5};
    list.push_back(std::bind(&Adder::add, &adder, std::placeholders::_1));
    std::string big(100, 'x');
    list.push_back([big, &adder](int n) { return static_cast<int>(big.size()) + n + adder.base; });
    for (auto &f : list)
        std::printf("%d ", f(3));
    auto c = counter(10), d = c;
    int first = c(), second = c();
    std::printf("\n%d %d %d %d\n", first, second, d(), counter(0)());
    std::function<long(int)> factorial = [&](int n) { return n < 2 ? 1 : n * factorial(n - 1); };
    auto text = compose([](int n) { return std::to_string(n); }, [](const std::string &s) { return s + "!"; });
    std::printf("%ld %s %.1f\n", factorial(15), text(42).c_str(), compose([](double v) { return v / 2; }, [](double v) { return v + 1; })(5.0));
    int (*pointer)(int, int) = [](int a, int b) { return a - b; };
    std::map<std::string, std::function<int(int, int)>> ops{{"plain", plain}, {"minus", pointer}, {"max", [](int a, int b) { return a > b ? a : b; }}, {"plus", std::plus<int>()}};
    for (auto &[name, op] : ops)
        std::printf("%s=%d ", name.c_str(), op(9, 4));
    auto target = ops["plain"].target<int (*)(int, int)>();
    std::printf("%d\n", target && *target == plain);
    auto owner = std::make_unique<int>(77);
    auto moved = [owner = std::move(owner)] { return *owner; };
    std::function<void()> empty;
    try {
        empty();
    } catch (const std::bad_function_call &) {
        std::printf("empty %d\n", moved());
    }
    return 0;
}
