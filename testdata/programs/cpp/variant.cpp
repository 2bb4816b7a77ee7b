// std::variant and visit, optional, any, tuple, string_view, structured bindings, charconv, chrono arithmetic, constexpr results.
#include <any>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

struct Number { double value; };
struct Add; struct Mul;
using Expr = std::variant<Number, std::string, const Add *, const Mul *>;
struct Add { Expr left, right; };
struct Mul { Expr left, right; };
template <class... F> struct overloaded : F... { using F::operator()...; };

static std::optional<double> evaluate(const Expr &e, double x) {
    auto both = [x](const Expr &l, const Expr &r, auto op) -> std::optional<double> {
        auto a = evaluate(l, x), b = evaluate(r, x);
        return a && b ? std::optional(op(*a, *b)) : std::nullopt;
    };
    return std::visit(overloaded{[](Number n) -> std::optional<double> { return n.value; },
                                 [x](const std::string &s) -> std::optional<double> { return s == "x" ? std::optional(x) : std::nullopt; },
                                 [&](const Add *a) { return both(a->left, a->right, [](double p, double q) { return p + q; }); },
                                 [&](const Mul *m) { return both(m->left, m->right, [](double p, double q) { return p * q; }); }}, e);
}

static std::vector<std::string_view> split(std::string_view text, char by) {
    std::vector<std::string_view> parts;
    for (std::size_t at; (at = text.find(by)) != text.npos; text.remove_prefix(at + 1))
        parts.push_back(text.substr(0, at));
    parts.push_back(text);
    return parts;
}

static constexpr auto primes = [] {
    std::tuple<int, long> r{0, 0};
    for (int n = 2; n < 1000; n++) {
        bool prime = true;
        for (int d = 2; d * d <= n; d++)
            prime = prime && n % d != 0;
        if (prime)
            std::get<0>(r)++, std::get<1>(r) += n;
    }
    return r;
}();

int main() {
    Mul square{std::string("x"), std::string("x")};
    Add sum{&square, Number{1.5}};
    Add broken{&sum, std::string("y")};
    for (double x : {0.0, 2.0, -3.5})
        std::printf("%.3f %d\n", evaluate(&sum, x).value_or(-1), evaluate(&broken, x).has_value());
    Expr e = Number{3};
    try {
        std::printf("%zu ", e.index());
        e = std::string("held");
        std::printf("%s ", std::get<std::string>(e).c_str());
        std::get<Number>(e);
    } catch (const std::bad_variant_access &) {
        std::printf("bad access\n");
    }
    std::vector<std::any> anything{1, std::string("two"), 3.5, split};
    for (auto &a : anything)
        std::printf("%s%d%d ", a.type() == typeid(std::string) ? "s" : "o", std::any_cast<int>(&a) != nullptr, a.has_value());
    std::printf("\n");
    for (auto part : split("12,x7,-345,9e3", ',')) {
        int value = 0;
        auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
        std::printf("%.*s=%d/%d/%td ", static_cast<int>(part.size()), part.data(), value, error == std::errc(), end - part.data());
    }
    auto [count, total] = primes;
    using namespace std::chrono_literals;
    std::printf("\nprimes %d %ld, time %ld\n", count, total, static_cast<long>((90min + 30s).count()));
    char digits[32];
    auto [end, error] = std::to_chars(digits, digits + sizeof digits, 0.1 + 0.2);
    std::printf("%.*s %d\n", static_cast<int>(end - digits), digits, error == std::errc());
    return 0;
}
