// The transforms of Winograd's F(4x4, 3x3) (A. Lavin and S. Gray, "Fast algorithms for convolutional neural
// networks", 2016, section 4.3), for points 0, ±1, ±2, ∞: a tile of 4x4 outputs of a 3x3 convolution is
//   Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A
// with the 3x3 kernel g and the 6x6 inputs d: 36 products instead of 144. Each function is one of the
// matrices in one direction; numbers lie `s` vectors apart.
#pragma once
#include "compute/vector.h"

namespace tiller::winograd {

inline constexpr int kOut = 4, kIn = 6, kTaps = 3;
inline constexpr int kPoints = kIn * kIn; // products of a tile

// Bᵀ d: 6 inputs in place
TILLER_INLINE void inputs(Vec* d, int s) {
  const Vec d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s], d5 = d[5 * s];
  const Vec a = d4 - 4.f * d2, b = d3 - 4.f * d1, c = d4 - d2, e = 2.f * (d3 - d1);
  d[0] = 4.f * (d0 - d2) + (d4 - d2);
  d[s] = a + b;
  d[2 * s] = a - b;
  d[3 * s] = c + e;
  d[4 * s] = c - e;
  d[5 * s] = 4.f * (d1 - d3) + (d5 - d3);
}

// G g: 3 taps to 6 points
TILLER_INLINE void weights(const Vec* g, int s, Vec* u, int t) {
  const Vec g0 = g[0], g1 = g[s], g2 = g[2 * s];
  const Vec even = (g0 + g2) * (-1.f / 6), odd = g1 * (1.f / 6);
  const Vec even2 = (g0 * 0.25f + g2) * (1.f / 6), odd2 = g1 * (1.f / 12);
  u[0] = g0 * 0.25f;
  u[t] = even - odd;
  u[2 * t] = even + odd;
  u[3 * t] = even2 + odd2;
  u[4 * t] = even2 - odd2;
  u[5 * t] = g2;
}

// Gᵀ u: 6 points to 3 taps, for the gradient of the weights
TILLER_INLINE void weights_back(const Vec* u, int s, Vec* g, int t) {
  const Vec even = u[s] + u[2 * s], odd = u[2 * s] - u[s], even2 = u[3 * s] + u[4 * s], odd2 = u[3 * s] - u[4 * s];
  g[0] = u[0] * 0.25f - (even - even2 * 0.25f) * (1.f / 6);
  g[t] = (odd + odd2 * 0.5f) * (1.f / 6);
  g[2 * t] = (even2 - even) * (1.f / 6) + u[5 * s];
}

// Aᵀ m: 6 points to 4 outputs
TILLER_INLINE void outputs(const Vec* m, int s, Vec* y, int t) {
  const Vec even = m[s] + m[2 * s], odd = m[s] - m[2 * s], even2 = m[3 * s] + m[4 * s], odd2 = m[3 * s] - m[4 * s];
  y[0] = m[0] + even + even2;
  y[t] = odd + 2.f * odd2;
  y[2 * t] = even + 4.f * even2;
  y[3 * t] = odd + 8.f * odd2 + m[5 * s];
}

// A y: 4 outputs' gradients to 6 points
TILLER_INLINE void outputs_back(const Vec* y, int s, Vec* m, int t) {
  const Vec y0 = y[0], y1 = y[s], y2 = y[2 * s], y3 = y[3 * s];
  const Vec even = y0 + y2, odd = y1 + y3, even2 = y0 + 4.f * y2, odd2 = 2.f * (y1 + 4.f * y3);
  m[0] = y0;
  m[t] = even + odd;
  m[2 * t] = even - odd;
  m[3 * t] = even2 + odd2;
  m[4 * t] = even2 - odd2;
  m[5 * t] = y3;
}

} // namespace tiller::winograd
