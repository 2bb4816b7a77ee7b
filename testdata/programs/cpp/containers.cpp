// Containers, strings and algorithms of the standard library, shared_ptr, streams of random numbers with a fixed seed, regular expressions.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <queue>
#include <random>
#include <regex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

struct Record {
    std::string name;
    int group;
    double score;
};

int main() {
    std::mt19937 random(42);
    std::vector<Record> records;
    for (int i = 0; i < 500; i++)
        records.push_back({"name" + std::to_string(random() % 1000), static_cast<int>(random() % 7), static_cast<double>(random() % 10000) / 8});
    std::sort(records.begin(), records.end(), [](const Record &a, const Record &b) {
        return a.group != b.group ? a.group < b.group : a.score != b.score ? a.score > b.score : a.name < b.name;
    });
    for (int g = 0; g < 7; g++) {
        auto from = std::find_if(records.begin(), records.end(), [g](const Record &r) { return r.group == g; });
        std::printf("%d %s %.3f\n", g, from->name.c_str(), from->score);
    }
    std::map<int, std::vector<const Record *>> groups;
    for (auto &r : records)
        groups[r.group].push_back(&r);
    for (auto &[group, members] : groups)
        std::printf("%d:%zu ", group, members.size());
    std::unordered_map<std::string, int> counts;
    for (auto &r : records)
        counts[r.name]++;
    std::set<std::pair<int, std::string>> top;
    for (auto &[name, count] : counts)
        top.insert({-count, name});
    std::printf("\nnames %zu, most %s %d\n", counts.size(), top.begin()->second.c_str(), -top.begin()->first);

    std::string text = "the arena holds the spans and the spans hold the code";
    for (std::size_t at = 0; (at = text.find("the ", at)) != std::string::npos; at += 2)
        text.replace(at, 4, "a ");
    std::string sorted = text;
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    std::printf("%s [%s] %d\n", text.c_str(), sorted.c_str(), text.compare("a arena"));

    std::priority_queue<int, std::vector<int>, std::greater<>> heap;
    std::deque<int> deque;
    std::list<int> list;
    for (int i = 0; i < 50; i++) {
        heap.push(i * 37 % 53);
        i % 2 ? deque.push_back(i) : deque.push_front(i);
        list.insert(std::next(list.begin(), i / 2), i);
    }
    heap.pop();
    list.remove_if([](int v) { return v % 3 == 0; });
    list.reverse();
    std::printf("%d %d %d %d %zu\n", heap.top(), deque.front(), deque[40], list.front(), list.size());
    std::vector<int> perm{1, 2, 3, 4, 5};
    int permutations = 0;
    do
        permutations++;
    while (std::next_permutation(perm.begin(), perm.end()));
    std::printf("%d %ld\n", permutations, std::inner_product(deque.begin(), deque.end(), deque.rbegin(), 0L));

    auto shared = std::make_shared<std::vector<int>>(5, 9);
    std::weak_ptr<std::vector<int>> weak = shared;
    auto copy = shared;
    long uses = weak.use_count();
    shared.reset();
    copy.reset();
    std::printf("%ld %d\n", uses, weak.expired());
    std::regex pattern(R"((\w+)=(\d+))");
    std::string input = "span=16, stub=8; slot=x, edge=24";
    for (std::sregex_iterator it(input.begin(), input.end(), pattern), last; it != last; ++it)
        std::printf("%s->%s ", (*it)[1].str().c_str(), (*it)[2].str().c_str());
    std::printf("%s\n", std::regex_replace(input, pattern, "$2").c_str());
    return 0;
}
