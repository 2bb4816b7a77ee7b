#include "threadlocal.h"
std::atomic<int> constructed, destroyed, sum_at_end;
Local::Local(int v) : text(40, static_cast<char>('a' + v % 26)), value(v) { constructed++; }
Local::~Local() {
    destroyed++;
    sum_at_end += value;
}
static int compute() { return 17; }
thread_local Local other_local(compute());
thread_local int plain_local = 5;
Local &function_local() {
    static thread_local Local local(30);
    return local;
}
