// RTTI: dynamic_cast down, across and to void, typeid of objects, failing casts of pointers and references, type_index.
#include <cstdio>
#include <map>
#include <string>
#include <typeindex>
#include <typeinfo>

struct Animal { virtual ~Animal() = default; };
struct Walks { virtual ~Walks() = default; int legs = 4; };
struct Flies { virtual ~Flies() = default; int wings = 2; };
struct Dog : Animal, Walks {};
struct Bird : Animal, Walks, Flies { Bird() { legs = 2; } };
struct Parrot final : Bird {};
namespace { struct Local : Animal {}; }
template <class T> struct Boxed : Animal { T value; };

static const char *describe(Animal *a) {
    if (auto *f = dynamic_cast<Flies *>(a))
        return f->wings == 2 ? "flies on two wings" : "flies";
    if (auto *w = dynamic_cast<Walks *>(a))
        return w->legs == 4 ? "walks on four legs" : "walks";
    return "rests";
}

static Animal *nobody() { return nullptr; }

int main() {
    Dog dog;
    Bird bird;
    Parrot parrot;
    Local local;
    Boxed<int> boxed;
    Boxed<std::string> text;
    Animal *all[] = {&dog, &bird, &parrot, &local, &boxed, &text};
    for (Animal *a : all)
        std::printf("%s: %s\n", typeid(*a).name(), describe(a));
    Walks *w = &parrot;
    std::printf("across %d, down %d, void %d, wrong %d\n", dynamic_cast<Flies *>(w) == &parrot, dynamic_cast<Parrot *>(w) == &parrot,
                dynamic_cast<void *>(w) == &parrot, dynamic_cast<Dog *>(w) == nullptr);
    try {
        Bird &wrong = dynamic_cast<Bird &>(*all[0]);
        std::printf("not reached %d\n", wrong.legs);
    } catch (const std::bad_cast &e) {
        std::printf("%s\n", e.what());
    }
    Animal *none = nobody();
    try {
        std::printf("%s\n", typeid(*none).name());
    } catch (const std::bad_typeid &e) {
        std::printf("%s\n", e.what());
    }
    std::map<std::type_index, int> counts;
    for (Animal *a : all)
        counts[typeid(*a)]++;
    std::printf("types %zu, %d, equal %d, int %s\n", counts.size(), counts[typeid(Bird)], typeid(*all[2]) == typeid(Parrot), typeid(int).name());
    return 0;
}
