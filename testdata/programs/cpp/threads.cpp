// std::thread, mutex, condition_variable, atomic, future and async, call_once, exceptions carried from a thread.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <future>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

template <class T> class Queue {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<T> items;
public:
    void put(T v) {
        std::lock_guard hold(lock);
        items.push_back(std::move(v));
        changed.notify_one();
    }
    T take() {
        std::unique_lock hold(lock);
        changed.wait(hold, [this] { return !items.empty(); });
        T v = std::move(items.front());
        items.pop_front();
        return v;
    }
};

static std::once_flag once;
static std::atomic<int> initialised{0};
static std::atomic<long> total{0};
struct Pair { long a, b; };
static std::shared_mutex gate;
static Pair guarded{0, 0};

int main() {
    std::vector<std::thread> threads;
    for (int id = 1; id <= 6; id++)
        threads.emplace_back([id] {
            std::call_once(once, [] { initialised++; });
            for (int i = 0; i < 5000; i++) {
                total.fetch_add(id, std::memory_order_relaxed);
                if (i % 10 == 0) {
                    std::unique_lock write(gate);
                    guarded.a += id;
                    guarded.b -= id;
                } else {
                    std::shared_lock read(gate);
                    if (guarded.a + guarded.b != 0)
                        std::printf("torn\n");
                }
            }
        });
    for (auto &t : threads)
        t.join();
    std::printf("total %ld guarded %ld once %d\n", total.load(), guarded.a, initialised.load());

    Queue<int> in;
    Queue<long> out;
    std::thread worker([&] {
        for (int v; (v = in.take()) >= 0;)
            out.put(static_cast<long>(v) * v);
        out.put(-1);
    });
    for (int i = 0; i < 500; i++)
        in.put(i);
    in.put(-1);
    long sum = 0;
    for (long v; (v = out.take()) >= 0;)
        sum += v;
    worker.join();
    std::printf("queue %ld\n", sum);

    std::vector<int> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 1);
    auto half = numbers.begin() + 500;
    auto first = std::async(std::launch::async, [&] { return std::accumulate(numbers.begin(), half, 0L); });
    auto second = std::async(std::launch::async, [&] { return std::accumulate(half, numbers.end(), 0L); });
    std::printf("async %ld %ld\n", first.get(), second.get());

    std::promise<int> promise;
    auto future = promise.get_future();
    std::thread thrower([&] {
        try {
            throw std::out_of_range("from the thread");
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    });
    thrower.join();
    try {
        future.get();
    } catch (const std::exception &e) {
        std::printf("carried: %s\n", e.what());
    }
    std::packaged_task<int(int)> task([](int n) { return n * 6; });
    auto result = task.get_future();
    std::jthread(std::move(task), 7).join();
    std::printf("task %d\n", result.get());
    return 0;
}
