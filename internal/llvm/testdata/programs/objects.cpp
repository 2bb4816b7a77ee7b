// Templates, inline functions with statics, virtual bases, exceptions, RTTI, lambdas, thread-local objects.
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {
struct Noise {
  const char *n;
  explicit Noise(const char *n) : n(n) { printf("+%s\n", n); }
  ~Noise() { printf("-%s\n", n); }
};
Noise global("global");
thread_local Noise perThread("thread");
int hidden(int x) { return x + 1; }
} // namespace

inline int &counted() {
  static int n = hidden(41);
  return n;
}

template <class T> T maximum(T a, T b) { return a < b ? b : a; }
template <class T> struct Box {
  static int made;
  T value;
  explicit Box(T v) : value(v) { made++; }
  virtual ~Box() { made--; }
  virtual std::string text() const { return "box"; }
};
template <class T> int Box<T>::made = 0;

struct Base {
  int b = 1;
  virtual int f() { return b; }
  virtual ~Base() {}
};
struct Left : virtual Base { int f() override { return b + 10; } };
struct Right : virtual Base { };
struct Bottom : Left, Right { int f() override { return Left::f() + 100; } };

struct Failure : std::runtime_error {
  int code;
  Failure(int c) : std::runtime_error("failure " + std::to_string(c)), code(c) {}
};

static int risky(int x) {
  Noise n("risky");
  if (x > 2) throw Failure(x);
  if (x == 2) throw 2;
  return x;
}

int guarded(int x) {
  try {
    return risky(x);
  } catch (const Failure &f) {
    printf("%s\n", f.what());
    return -f.code;
  } catch (int i) {
    return -100 * i;
  }
}

int main() {
  printf("%s\n", perThread.n);
  printf("%d %d\n", counted()++, counted());
  printf("%d %.1f %s\n", maximum(1, 2), maximum(1.5, 0.5), maximum<std::string>("a", "b").c_str());
  {
    Box<int> a(1), b(2);
    Box<std::string> s("x");
    printf("%d %d %s\n", Box<int>::made, Box<std::string>::made, a.text().c_str());
  }
  printf("%d\n", Box<int>::made);
  std::unique_ptr<Base> p(new Bottom);
  printf("%d %d\n", p->f(), dynamic_cast<Right *>(p.get()) != nullptr);
  for (int i = 1; i < 5; i++) printf("%d\n", guarded(i));
  std::map<std::string, std::vector<int>> m;
  for (int i = 0; i < 6; i++) m[i % 2 ? "odd" : "even"].push_back(i);
  for (auto &[k, v] : m) {
    printf("%s:", k.c_str());
    for (int i : v) printf(" %d", i);
    printf("\n");
  }
  int base = 7;
  std::function<int(int)> add = [&](int x) { return x + base; };
  base = 8;
  printf("%d\n", add(1));
  return 0;
}
