// contents.cpp: the fingerprint of a global with everything that is copied with it or folded into it.
//
// Those globals form a graph, in which tables may refer to each other in circles. It is walked by strongly connected
// components (Tarjan's algorithm, without recursion: chains can be long), those it leads to first. In a component of several
// globals hashes are refined round by round, each global taking in those its edges lead to, until no two that are still
// equal become different; that is the coarsest partition in which equal globals have equal edges. The set of
// all hashes then tells which one leads to which, so that equal results in two modules mean equal contents.
#include "fingerprint.h"

#include "llvm/IR/GlobalObject.h"

using namespace llvm;

namespace lj {

Hash Fingerprints::combine(const Node &n, Depth depth) {
  Bytes b;
  b.hash(n.header);
  b.hash(n.body);
  for (const Edge &e : n.edges)
    if (depth == Deep || !e.named) b.hash(contents[depth][e.to]);
  return b.hash128();
}

Hash Fingerprints::content(const GlobalObject &root, Depth depth) {
  auto known = contents[depth].find(&root);
  if (known != contents[depth].end()) return known->second;
  Node &first = node(root);
  if (first.edges.empty()) return contents[depth][&root] = combine(first, depth);

  struct Visit {
    uint32_t number, low;
    bool open; // on the stack of components that are not complete
  };
  struct Frame {
    const GlobalObject *global;
    size_t edge;
  };
  DenseMap<const GlobalObject *, Visit> visits;
  std::vector<const GlobalObject *> open;
  std::vector<Frame> path;
  auto enter = [&](const GlobalObject *g) {
    uint32_t n = uint32_t(visits.size());
    visits[g] = {n, n, true};
    open.push_back(g);
    path.push_back({g, 0});
  };
  enter(&root);
  while (!path.empty()) {
    const GlobalObject *g = path.back().global;
    Node &n = node(*g);
    if (path.back().edge < n.edges.size()) {
      const Edge &e = n.edges[path.back().edge++];
      if ((e.named && depth == Shallow) || contents[depth].count(e.to)) continue;
      auto it = visits.find(e.to);
      if (it == visits.end()) enter(e.to);
      else if (it->second.open) visits[g].low = std::min(visits[g].low, it->second.number);
      continue;
    }
    Visit v = visits[g];
    path.pop_back();
    if (!path.empty()) {
      Visit &up = visits[path.back().global];
      up.low = std::min(up.low, v.low);
    }
    if (v.low != v.number) continue;
    size_t start = open.size();
    do visits[open[--start]].open = false;
    while (open[start] != g);
    component(ArrayRef<const GlobalObject *>(open).drop_front(start), depth);
    open.resize(start);
  }
  return contents[depth][&root];
}

void Fingerprints::component(ArrayRef<const GlobalObject *> members, Depth depth) {
  auto &known = contents[depth];
  if (members.size() == 1) {
    Node &n = node(*members[0]);
    bool own = any_of(n.edges, [&](const Edge &e) { return e.to == members[0] && (depth == Deep || !e.named); });
    if (!own) {
      known[members[0]] = combine(n, depth);
      return;
    }
  }
  // Until the component is complete, its members' hashes are those of the last round.
  std::vector<Hash> now(members.size());
  for (const GlobalObject *g : members) known[g] = {};
  std::vector<Hash> distinct;
  for (size_t classes = 0;;) {
    for (size_t i = 0; i < members.size(); i++) {
      Bytes b;
      b.hash(known[members[i]]);
      b.hash(combine(node(*members[i]), depth));
      now[i] = b.hash128();
    }
    for (size_t i = 0; i < members.size(); i++) known[members[i]] = now[i];
    distinct = now;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    if (distinct.size() == classes) break;
    classes = distinct.size();
  }
  for (size_t i = 0; i < members.size(); i++) {
    Bytes b;
    b.hash(now[i]);
    for (const Hash &h : distinct) b.hash(h);
    known[members[i]] = b.hash128();
  }
}

} // namespace lj
