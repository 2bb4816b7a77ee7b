// throw.cpp: an exception thrown and caught through three frames. As a program it is what was compiled ahead of time; livejit loads the same
// functions (bench/rows_exceptions.go).
#include <stdexcept>

extern "C" {
__attribute__((noinline)) long third(long x) { throw std::runtime_error("x"); }
__attribute__((noinline)) long second(long x) { return third(x) + 1; }
__attribute__((noinline)) long first(long x) { return second(x) + 1; }
__attribute__((noinline)) long caught(long n) {
  long times = 0;
  for (long i = 0; i < n; i++) {
    try {
      first(i);
    } catch (const std::exception &) {
      times++;
    }
  }
  return times;
}
}

#ifndef IN_ENGINE
#include "peer.h"

int main() {
  const long n = 20000;
  std::vector<double> took;
  for (int i = 0; i < 9; i++) {
    auto start = peer::Clock::now();
    if (caught(n) != n) peer::fail("an exception was lost");
    took.push_back(peer::micros(start, peer::Clock::now()) * 1000 / n);
  }
  peer::tell("throw", peer::median(took));
}
#endif
