// Vectors of floats in GCC's and Clang's own vector types: one source for AVX-512, AVX2 and NEON.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tiller {

// -DTILLER_VECTOR_BYTES=16 tries the narrow code on a wide machine.
#if !defined(TILLER_VECTOR_BYTES)
#if defined(__AVX512F__)
#define TILLER_VECTOR_BYTES 64
#elif defined(__AVX__)
#define TILLER_VECTOR_BYTES 32
#else
#define TILLER_VECTOR_BYTES 16
#endif
#endif

typedef float Vec __attribute__((vector_size(TILLER_VECTOR_BYTES)));
typedef float UnalignedVec __attribute__((vector_size(TILLER_VECTOR_BYTES), aligned(4), may_alias));
typedef int32_t VecInt __attribute__((vector_size(TILLER_VECTOR_BYTES)));

inline constexpr int kLanes = TILLER_VECTOR_BYTES / 4;

// The register tile of every matrix product: kTileRows broadcast rows by kTileVectors vectors.
// AVX2 has 16 registers: 6 x 2 accumulators + 2 loads + 1 broadcast. The others have 32.
inline constexpr int kTileRows = TILLER_VECTOR_BYTES == 32 ? 6 : 8;
inline constexpr int kTileVectors = 2;
inline constexpr int kPanel = kTileVectors * kLanes; // columns of a packed panel of weights

#define TILLER_INLINE inline __attribute__((always_inline))

TILLER_INLINE Vec load(const float* p) { return *(const UnalignedVec*)p; }
TILLER_INLINE void store(float* p, Vec v) { *(UnalignedVec*)p = v; }
TILLER_INLINE Vec broadcast(float x) { return x - Vec{}; }

// GCC makes two instructions of `a > b ? a : b`, and calls of square roots, so x86 is told by name.
// Where either is NaN, both give b.
#if TILLER_VECTOR_BYTES == 64 && defined(__AVX512F__)
TILLER_INLINE Vec max(Vec a, Vec b) { return (Vec)_mm512_max_ps((__m512)a, (__m512)b); }
TILLER_INLINE Vec min(Vec a, Vec b) { return (Vec)_mm512_min_ps((__m512)a, (__m512)b); }
TILLER_INLINE Vec square_root(Vec a) { return (Vec)_mm512_sqrt_ps((__m512)a); }
#elif TILLER_VECTOR_BYTES == 32 && defined(__AVX__)
TILLER_INLINE Vec max(Vec a, Vec b) { return (Vec)_mm256_max_ps((__m256)a, (__m256)b); }
TILLER_INLINE Vec min(Vec a, Vec b) { return (Vec)_mm256_min_ps((__m256)a, (__m256)b); }
TILLER_INLINE Vec square_root(Vec a) { return (Vec)_mm256_sqrt_ps((__m256)a); }
#else
TILLER_INLINE Vec max(Vec a, Vec b) { return a > b ? a : b; }
TILLER_INLINE Vec min(Vec a, Vec b) { return a < b ? a : b; }
TILLER_INLINE Vec square_root(Vec a) {
  for (int i = 0; i < kLanes; i++) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
#endif

// The first n lanes; the others read as zero, and are not written.
TILLER_INLINE Vec load(const float* p, int n) {
  if (n >= kLanes) return load(p);
  Vec v{};
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
}
TILLER_INLINE void store(float* p, Vec v, int n) {
  if (n >= kLanes) return store(p, v);
  for (int i = 0; i < n; i++) p[i] = v[i];
}

// Adds the lanes pairwise, so that the order of the sum is fixed.
TILLER_INLINE float sum(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
}

// One step of a butterfly transpose: swaps blocks of Step lanes between rows Step apart.
template <int Step>
TILLER_INLINE void transpose_step(Vec* rows) {
  VecInt low, high;
  for (int i = 0; i < kLanes; i++) {
    const bool upper = i & Step;
    low[i] = upper ? kLanes + (i ^ Step) : i;
    high[i] = upper ? kLanes + i : (i ^ Step);
  }
  for (int i = 0; i < kLanes; i++) {
    if (i & Step) continue;
    const Vec a = rows[i], b = rows[i + Step];
#if defined(__clang__)
    Vec c{}, d{};
    for (int l = 0; l < kLanes; l++) {
      c[l] = low[l] < kLanes ? a[low[l]] : b[low[l] - kLanes];
      d[l] = high[l] < kLanes ? a[high[l]] : b[high[l] - kLanes];
    }
    rows[i] = c, rows[i + Step] = d;
#else
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i + Step] = __builtin_shuffle(a, b, high);
#endif
  }
}

// to[c][r] = from[r][c] for a square of kLanes; the strides are in floats.
TILLER_INLINE void transpose_square(const float* from, size_t from_stride, float* to,
                                    size_t to_stride) {
  Vec rows[kLanes];
  for (int i = 0; i < kLanes; i++) rows[i] = load(from + i * from_stride);
  transpose_step<1>(rows);
  transpose_step<2>(rows);
  if constexpr (kLanes > 4) transpose_step<4>(rows);
  if constexpr (kLanes > 8) transpose_step<8>(rows);
  for (int i = 0; i < kLanes; i++) store(to + i * to_stride, rows[i]);
}

constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

} // namespace tiller
