// thread_local objects with constructors and destructors: namespace scope, inline, in a function, over two files, in several threads.
#include <cstdio>
#include <thread>
#include <vector>
#include "threadlocal.h"

static thread_local std::vector<int> numbers{1, 2, 3};
struct Class { static thread_local int member; };
thread_local int Class::member = 8;

static long work(int id) {
    for (int i = 0; i < id; i++) {
        numbers.push_back(i);
        other_local.value += id;
        inline_local.value++;
        function_local().value += 2;
        plain_local *= 2;
        Class::member++;
    }
    return static_cast<long>(numbers.size()) + other_local.value * 10 + inline_local.value * 100 + function_local().value * 1000 + plain_local + Class::member +
           static_cast<long>(other_local.text.size());
}

int main() {
    long results[5];
    std::vector<std::thread> threads;
    for (int id = 1; id <= 4; id++)
        threads.emplace_back([id, &results] { results[id] = work(id); });
    for (auto &t : threads)
        t.join();
    std::printf("constructed %d destroyed %d sum %d\n", constructed.load(), destroyed.load(), sum_at_end.load());
    results[0] = work(2);
    for (long r : results)
        std::printf("%ld ", r);
    std::thread([] { std::printf("\nfresh %zu %d %d", numbers.size(), plain_local, Class::member); }).join();
    std::printf("\nconstructed %d destroyed %d, same %d\n", constructed.load(), destroyed.load(), &function_local() == &function_local());
    return 0;
}
