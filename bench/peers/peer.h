// peer.h: what the peers share: the generated functions, the clock, and how figures are told.
//
// Each peer is a program of its own, started anew for each round, so that none pays for another's memory. It prints
// lines "NAME VALUE": medians of times in µs, memory in bytes. The driver in Go runs peers and livejit in turn.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace peer {

using Clock = std::chrono::steady_clock;

inline double micros(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

// The same text as Function in bench/figures: f<i>(x) calls f<i+1>(x-1) while x is positive. A peer whose names are unique
// appends the version to the defined name.
inline std::string functionText(int i, int version, int n, const std::string &suffix) {
  std::string s = "define i64 @f" + std::to_string(i) + suffix + "(i64 %x) {\nentry:\n  %c = icmp sgt i64 %x, 0\n"
                  "  br i1 %c, label %more, label %end\nmore:\n  %y = sub i64 %x, 1\n";
  if (i + 1 < n) s += "  %r = call i64 @f" + std::to_string(i + 1) + "(i64 %y)\n";
  else s += "  %r = add i64 %y, 0\n";
  s += "  %z = add i64 %r, " + std::to_string(i + version) + "\n  ret i64 %z\nend:\n  ret i64 " + std::to_string(version) + "\n}\n";
  if (i + 1 < n) s += "declare i64 @f" + std::to_string(i + 1) + "(i64)\n";
  return s;
}

// Resident memory of this process in bytes.
inline long resident() {
  std::ifstream f("/proc/self/smaps_rollup");
  for (std::string s; std::getline(f, s);)
    if (s.rfind("Rss:", 0) == 0) return atol(s.c_str() + 4) * 1024;
  return 0;
}

inline double median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

inline void tell(const char *name, double value) { std::printf("%s %.3f\n", name, value); }

// Says why a peer cannot go on, and ends it; the driver shows the line.
[[noreturn]] inline void fail(const std::string &why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

inline int number(const char *text) {
  int n = atoi(text);
  if (n <= 0) fail(std::string("not a positive number: ") + text);
  return n;
}

} // namespace peer
