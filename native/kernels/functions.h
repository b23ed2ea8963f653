// Elementary functions on vectors, good to a few units in the last place of an F32.
// Compile without -ffast-math: it would fold away the rounding by adding and subtracting kRound.
#pragma once
#include "compute/vector.h"

namespace tiller {

// 2^x for x < 127 by splitting x = n + r, |r| <= 1/2: a polynomial for 2^r, and n added to the exponent's bits.
// Relative error 2e-7. Below -126 it gives 2^-126; NaN stays NaN.
TILLER_INLINE Vec exp2_below_127(Vec x) {
  const Vec kRound = broadcast(12582912.f); // 1.5 * 2^23: the sum's low bits are round(x)
  x = max(broadcast(-126.f), x);
  const Vec shifted = x + kRound;
  const Vec r = x - (shifted - kRound);
  Vec p = broadcast(1.5403530e-4f);
  p = p * r + 1.3333558e-3f;
  p = p * r + 9.6181291e-3f;
  p = p * r + 5.5504109e-2f;
  p = p * r + 2.4022651e-1f;
  p = p * r + 6.9314718e-1f;
  p = p * r + 1.f;
  return (Vec)((VecInt)p + ((VecInt)shifted << 23));
}

TILLER_INLINE Vec exp2(Vec x) { return exp2_below_127(min(broadcast(126.99f), x)); }

inline constexpr float kLog2E = 1.44269504f;

TILLER_INLINE Vec exp(Vec x) { return exp2(x * kLog2E); }
TILLER_INLINE Vec sigmoid(Vec x) { return 1.f / (1.f + exp(-x)); }

// The normal distribution's Φ(x), and exp(-x²/2).
struct NormalDistribution {
  Vec cumulative, density; // the density without its factor
};
inline constexpr float kDensityFactor = 0.39894228f; // 1/√(2π)
// erfc by Abramowitz and Stegun 7.1.26, absolute error 1.5e-7.
TILLER_INLINE NormalDistribution normal_distribution(Vec x) {
  const Vec z = max(x, -x) * 0.70710678f;
  const Vec density = exp2_below_127(x * x * (-0.5f * kLog2E));
  const Vec t = 1.f / (z * 0.3275911f + 1.f);
  Vec p = t * 1.061405429f - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Vec half_erfc = p * t * density * 0.5f;
  return {x < 0.f ? half_erfc : 1.f - half_erfc, density};
}

// x Φ(x). Its derivative is Φ(x) + x φ(x).
TILLER_INLINE Vec gelu(Vec x) { return x * normal_distribution(x).cumulative; }

// silu(x) = x σ(x); silu'(x) = σ + x σ (1 - σ).
TILLER_INLINE Vec silu(Vec x) { return x * sigmoid(x); }
TILLER_INLINE Vec silu_derivative(Vec x) {
  const Vec s = sigmoid(x);
  return s + x * s * (1.f - s);
}

// quick_gelu(x) = x σ(1.702 x), CLIP's activation.
TILLER_INLINE Vec quick_gelu(Vec x) { return x * sigmoid(x * 1.702f); }
TILLER_INLINE Vec quick_gelu_derivative(Vec x) {
  const Vec s = sigmoid(x * 1.702f);
  return s + x * 1.702f * s * (1.f - s);
}

} // namespace tiller
