// Templates and inline entities in two files: one instance of each function, static member and local static (COMDAT), variadics, constants.
#include <cstdio>
#include <array>
#include <utility>
#include "templates.h"

template <class F, std::size_t... I> static auto table_of(F f, std::index_sequence<I...>) { return std::array<int, sizeof...(I)>{f(I)...}; }
template <int N> struct Countdown {
    static int run(int acc) { return Countdown<N - 1>::run(acc * 2 + N); }
};
template <> struct Countdown<0> {
    static int run(int acc) { return acc; }
};
template <class D> struct Crtp {
    int call(int n) { return static_cast<D *>(this)->impl(n) + 1; }
};
struct Impl : Crtp<Impl> {
    int impl(int n) { return n * 10; }
};

int main() {
    std::printf("same inline function %d, same state %d\n", other_next_inline() == next_inline, other_state() == address_of_state<int>());
    Registry<double> d(1.5);
    double other = other_registry();
    std::printf("other %.2f, total %.2f, instances %d\n", other, Registry<double>::total, Registry<double>::instances);
    int here = next_inline(), there = other_next_inline()();
    std::printf("inline %d %d, counter %d\n", here, there, inline_counter);
    Registry<short> s(7);
    std::printf("explicit %d %d\n", s.scaled(6), Registry<short>::instances);
    auto squares = table_of([](std::size_t i) { return static_cast<int>(i * i); }, std::make_index_sequence<8>());
    for (int v : squares)
        std::printf("%d ", v);
    std::printf("\nfib %lu, sum %.2f, countdown %d, crtp %d\n", fib<60>, sum_all(1, 2.5, 3L, 'a'), Countdown<12>::run(1), Impl().call(4));
    *address_of_state<int>() = 9;
    *address_of_state<long>() = 8;
    std::printf("states %d %ld\n", *other_state(), *address_of_state<long>());
    return 0;
}
