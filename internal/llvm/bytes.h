// bytes.h: canonical bytes and their hashes.
#ifndef LIVEJIT_LLVM_BYTES_H
#define LIVEJIT_LLVM_BYTES_H

#include <cstdint>
#include <cstring>
#include <memory>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/xxhash.h"

namespace lj {

struct Hash {
  uint64_t low = 0, high = 0;
  bool operator==(const Hash &h) const { return low == h.low && high == h.high; }
  bool operator<(const Hash &h) const { return high != h.high ? high < h.high : low < h.low; }
};

// Bytes collects what is to be hashed. Strings carry their length, so that different sequences give different bytes.
class Bytes {
  std::unique_ptr<uint8_t[]> data;
  size_t len = 0, cap = 0;

  void grow(size_t n) {
    size_t c = std::max(cap * 2, std::max<size_t>(len + n, 256));
    std::unique_ptr<uint8_t[]> d(new uint8_t[c]);
    if (len) memcpy(d.get(), data.get(), len);
    data = std::move(d);
    cap = c;
  }

public:
  void put(const void *p, size_t n) {
    if (n == 0) return;
    if (len + n > cap) grow(n);
    memcpy(data.get() + len, p, n);
    len += n;
  }
  void u32(uint32_t v) { put(&v, 4); }
  void u64(uint64_t v) { put(&v, 8); }
  void hash(const Hash &h) { put(&h, sizeof h); }
  void str(llvm::StringRef s) {
    u64(s.size());
    put(s.data(), s.size());
  }
  void clear() { len = 0; }
  Hash hash128() const {
    auto h = llvm::xxh3_128bits(llvm::ArrayRef<uint8_t>(data.get(), len));
    return {h.low64, h.high64};
  }
  uint64_t hash64() const { return llvm::xxh3_64bits(llvm::ArrayRef<uint8_t>(data.get(), len)); }
};

} // namespace lj

#endif
