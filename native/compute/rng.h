// Random numbers by counter: each is a pure function of (seed, purpose, epoch, item, index), so that
// order, noise, timesteps and dropout need no state to resume.
//
// Philox4x32-10: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011, section 3.3. test/peers/philox.py is the same generator in numpy.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

namespace tiller {

// Fixed numbers: they are part of what a run is, and are never reused.
enum class Purpose : uint32_t {
  initialization = 1,
  order = 2,
  timestep = 3,
  noise = 4,
  caption_dropout = 5,
  caption_choice = 6,
  sample_noise = 7,
  validation_noise = 8,
  augmentation = 10,
  tag_order = 11,
  tag_dropout = 12,
  sampler_step = 20,
  noise_offset = 21,
  outpainting = 22,
  batch_order = 30,
  crop = 31,
  latent = 32, // the sample of a latent that an autoencoder gives as a distribution
  projection = 60, // of a matrix whose largest singular values are wanted
  test = 1000,
};

using Philox = std::array<uint32_t, 4>;

inline Philox philox(Philox counter, uint64_t key) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {(uint32_t)(b >> 32) ^ counter[1] ^ k0, (uint32_t)b,
               (uint32_t)(a >> 32) ^ counter[3] ^ k1, (uint32_t)a};
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
  return counter;
}

// The finalizer of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014): spreads seeds that are
// near each other.
inline uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// FNV-1a: turns a tensor's or an item's name into the `item` of a stream.
inline uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001B3;
  return hash;
}

// The numbers of one (seed, purpose, epoch, item), one after another.
class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, uint32_t epoch = 0, uint64_t item = 0)
      : key_(mix64(seed ^ mix64((uint64_t)purpose))), epoch_(epoch), item_(item) {}

  uint32_t bits() {
    if (next_ == 4) {
      block_ = philox({index_++, epoch_, (uint32_t)item_, (uint32_t)(item_ >> 32)}, key_);
      next_ = 0;
    }
    return block_[next_++];
  }

  // In [0, 1), a multiple of 2^-24.
  float uniform() { return (float)(bits() >> 8) * 0x1p-24f; }

  // In [0, n), without bias (D. Lemire, "Fast random integer generation in an interval", 2019).
  uint32_t below(uint32_t n) {
    uint64_t product = uint64_t{bits()} * n;
    if ((uint32_t)product < n) {
      const uint32_t floor = -n % n;
      while ((uint32_t)product < floor) product = uint64_t{bits()} * n;
    }
    return (uint32_t)(product >> 32);
  }

  // N(0, 1) by Box and Muller (1958). In double, so that libraries of mathematics agree in float.
  float normal() {
    if (has_spare_) return has_spare_ = false, spare_;
    const double u = ((double)bits() + 1) * 0x1p-32; // in (0, 1]
    const double angle = (double)bits() * (0x1p-32 * 6.283185307179586);
    const double radius = std::sqrt(-2 * std::log(u));
    spare_ = (float)(radius * std::sin(angle));
    has_spare_ = true;
    return (float)(radius * std::cos(angle));
  }

  void fill_normal(float* out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = normal();
  }

  // A permutation of 0 … n-1 (Fisher and Yates, from the end).
  std::vector<int> permutation(int n) {
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    for (int i = n - 1; i > 0; i--) std::swap(order[i], order[below((uint32_t)i + 1)]);
    return order;
  }

 private:
  uint64_t key_;
  uint32_t epoch_;
  uint64_t item_;
  uint32_t index_ = 0;
  Philox block_{};
  int next_ = 4;
  float spare_ = 0;
  bool has_spare_ = false;
};

} // namespace tiller
