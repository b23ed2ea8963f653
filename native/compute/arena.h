// Memory: zeroed buffers on huge pages, and a scratch stack for each thread.
#pragma once
#include <sys/mman.h>

#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "compute/vector.h"

namespace tiller {

// Zeroed floats that live as long as the object. Huge pages are asked for: a training step walks
// through hundreds of megabytes, and misses of the page table cost about 7 %.
class HugeBuffer {
 public:
  HugeBuffer() = default;
  explicit HugeBuffer(size_t floats) : size_(floats) {
    if (floats == 0) return;
    // Kernels may read one vector past the end of an array.
    bytes_ = round_up(floats * sizeof(float) + 256, kPage) + kPage;
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mapping_ = memory;
    data_ = (float*)round_up((size_t)memory, kPage);
#if defined(MADV_HUGEPAGE)
    madvise(data_, bytes_ - kPage, MADV_HUGEPAGE); // only advice: a refusal changes nothing
#endif
  }
  HugeBuffer(HugeBuffer&& other) noexcept { swap(other); }
  HugeBuffer& operator=(HugeBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~HugeBuffer() {
    if (mapping_ != nullptr) munmap(mapping_, bytes_);
  }

  float* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kPage = size_t{2} << 20;

  void swap(HugeBuffer& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapping_, other.mapping_);
    std::swap(data_, other.data_);
  }

  size_t size_ = 0, bytes_ = 0;
  void* mapping_ = nullptr;
  float* data_ = nullptr;
};

// Scratch memory of the calling thread, given back in reverse order when the object ends:
//   Scratch scratch; float* tile = scratch.take(1024);
// What take() returns is not zeroed. Chunks are kept, so that after the first step nothing is
// allocated any more.
class Scratch {
 public:
  Scratch() : chunk_(stack().chunk), used_(stack().used) {}
  ~Scratch() { stack().chunk = chunk_, stack().used = used_; }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  float* take(size_t floats) {
    Stack& s = stack();
    const size_t wanted = round_up(floats + kLanes, 16);
    while (s.chunk < s.chunks.size() && s.used + wanted > s.chunks[s.chunk].size()) {
      s.chunk++, s.used = 0;
    }
    if (s.chunk == s.chunks.size()) s.chunks.emplace_back(wanted > kChunk ? wanted : kChunk);
    float* p = s.chunks[s.chunk].data() + s.used;
    s.used += wanted;
    return p;
  }

 private:
  static constexpr size_t kChunk = (size_t{1} << 19) - 64; // one huge page
  struct Stack {
    std::vector<HugeBuffer> chunks;
    size_t chunk = 0, used = 0;
  };
  static Stack& stack() {
    static thread_local Stack s;
    return s;
  }

  size_t chunk_, used_;
};

} // namespace tiller
