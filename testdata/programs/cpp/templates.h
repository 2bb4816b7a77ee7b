#include <cstddef>
#include <type_traits>
inline int inline_counter = 10;
inline int next_inline() {
    static int calls = 0;
    return inline_counter + ++calls;
}
template <class T> struct Registry {
    static T total;
    static int instances;
    T held;
    explicit Registry(T v) : held(v) { total += v; instances++; }
    T scaled(int by) const;
};
template <class T> T Registry<T>::total{};
template <class T> int Registry<T>::instances = 0;
template <class T> T Registry<T>::scaled(int by) const { return held * by; }
template <class T> T *address_of_state() {
    static T state{};
    return &state;
}
template <std::size_t N> constexpr unsigned long fib = fib<N - 1> + fib<N - 2>;
template <> inline constexpr unsigned long fib<0> = 0;
template <> inline constexpr unsigned long fib<1> = 1;
template <class... T> auto sum_all(T... v) { return (v + ... + 0); }
using function = int (*)();
function other_next_inline();
int *other_state();
double other_registry();
extern template struct Registry<short>;
