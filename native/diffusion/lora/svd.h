// The largest singular values of a matrix, with their vectors, by random projection.
//   N. Halko, P.-G. Martinsson, J. Tropp, "Finding structure with randomness", SIAM Review 53 (2011),
//   algorithms 4.4 (subspace iteration) and 5.1;  the small rest by J. Hestenes's one-sided Jacobi (1958), as in
//   G. Golub, C. Van Loan, "Matrix computations", 4th edition, section 8.6.3
// (1) Y = D Ω, Ω [n, k] of N(0, 1), k = r + 10;  Q = orth(Y)
// (2) q times: Z = orth(Dᵀ Q), Q = orth(D Z)
// (3) Dᵀ Q = P R, R [k, k];  R = U_R Σ Vᵀ by Jacobi
// (4) D ≈ Q Qᵀ D = (Q V) Σ (P U_R)ᵀ
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "compute/pool.h"
#include "compute/rng.h"

namespace tiller {

// [columns, rows]: a column is a stretch.
struct Columns {
  int rows, count;
  std::vector<double> data;
  Columns(int rows, int count) : rows(rows), count(count), data(static_cast<size_t>(rows) * static_cast<size_t>(count)) {}
  double* column(int i) { return data.data() + static_cast<size_t>(i) * static_cast<size_t>(rows); }
  const double* column(int i) const { return data.data() + static_cast<size_t>(i) * static_cast<size_t>(rows); }
};

struct Svd {
  std::vector<double> sigma;  // falling
  Columns u, v;               // m × r, n × r
};

namespace detail {

inline double dot(const double* a, const double* b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}
inline void add_scaled(double* to, double factor, const double* from, int n) {
  for (int i = 0; i < n; i++) to[i] += factor * from[i];
}

// d [m, n] times `right` [n, k], or its transpose times [m, k].
inline Columns times(Pool& pool, const float* d, int m, int n, const Columns& right) {
  Columns y(m, right.count);
  pool.split(m, [&](Range rows) {
    std::vector<double> row(static_cast<size_t>(n));
    for (int i = rows.begin; i < rows.end; i++) {
      std::copy(d + static_cast<size_t>(i) * static_cast<size_t>(n), d + static_cast<size_t>(i + 1) * static_cast<size_t>(n), row.begin());
      for (int c = 0; c < right.count; c++) y.column(c)[i] = dot(row.data(), right.column(c), n);
    }
  });
  return y;
}
inline Columns transposed_times(Pool& pool, const float* d, int m, int n, const Columns& right) {
  Columns y(n, right.count);
  pool.split(right.count, [&](Range columns) {
    std::vector<double> row(static_cast<size_t>(n));
    for (int i = 0; i < m; i++) {
      std::copy(d + static_cast<size_t>(i) * static_cast<size_t>(n), d + static_cast<size_t>(i + 1) * static_cast<size_t>(n), row.begin());
      for (int c = columns.begin; c < columns.end; c++) add_scaled(y.column(c), right.column(c)[i], row.data(), n);
    }
  });
  return y;
}

// Gram and Schmidt, each column twice (W. Kahan's "twice is enough"). Returns R [k, k], by columns. A column that
// lies in the span of those before becomes zero.
inline Columns orthonormalize(Columns& y) {
  Columns r(y.count, y.count);
  for (int c = 0; c < y.count; c++) {
    double* column = y.column(c);
    const double before = std::sqrt(dot(column, column, y.rows));
    for (int turn = 0; turn < 2; turn++)
      for (int j = 0; j < c; j++) {
        const double part = dot(y.column(j), column, y.rows);
        add_scaled(column, -part, y.column(j), y.rows);
        r.column(c)[j] += part;
      }
    const double size = std::sqrt(dot(column, column, y.rows));
    const bool lost = !(size > 1e-12 * before);
    for (int i = 0; i < y.rows; i++) column[i] = lost ? 0 : column[i] / size;
    r.column(c)[c] = lost ? 0 : size;
  }
  return r;
}

// Turns pairs of columns of `a` until all are orthogonal: a becomes U Σ, and v, the identity, V.
inline void jacobi(Columns& a, Columns& v) {
  for (int sweep = 0; sweep < 60; sweep++) {
    double worst = 0;
    for (int p = 0; p < a.count - 1; p++)
      for (int q = p + 1; q < a.count; q++) {
        double *x = a.column(p), *y = a.column(q);
        const double xx = dot(x, x, a.rows), yy = dot(y, y, a.rows), xy = dot(x, y, a.rows);
        if (!(std::abs(xy) > 1e-15 * std::sqrt(xx * yy)) || xy == 0) continue;
        worst = std::max(worst, std::abs(xy) / std::sqrt(xx * yy));
        const double zeta = (yy - xx) / (2 * xy);
        const double t = (zeta >= 0 ? 1 : -1) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const double c = 1 / std::sqrt(1 + t * t), s = c * t;
        const auto turn = [&](double* one, double* two, int rows) {
          for (int i = 0; i < rows; i++) {
            const double old = one[i];
            one[i] = c * old - s * two[i];
            two[i] = s * old + c * two[i];
          }
        };
        turn(x, y, a.rows);
        turn(v.column(p), v.column(q), v.rows);
      }
    if (worst < 1e-12) return;
  }
}

// The columns of left · right [k, r].
inline Columns product(const Columns& left, const Columns& right) {
  Columns y(left.rows, right.count);
  for (int c = 0; c < right.count; c++)
    for (int j = 0; j < left.count; j++) add_scaled(y.column(c), right.column(c)[j], left.column(j), left.rows);
  return y;
}

}  // namespace detail

// d [m, n]. A function of the matrix, `rank`, `seed` and not of the threads.
inline Svd truncated_svd(Pool& pool, const std::vector<float>& d, int m, int n, int rank, uint64_t seed = 1, int iterations = 3) {
  rank = std::min({rank, m, n});
  const int k = std::min({rank + 10, m, n});
  Columns z(n, k);
  RandomStream random(seed, Purpose::projection);
  for (double& value : z.data) value = static_cast<double>(random.normal());
  Columns q = detail::times(pool, d.data(), m, n, z); // (1)
  detail::orthonormalize(q);
  for (int i = 0; i < iterations; i++) { // (2)
    z = detail::transposed_times(pool, d.data(), m, n, q);
    detail::orthonormalize(z);
    q = detail::times(pool, d.data(), m, n, z);
    detail::orthonormalize(q);
  }
  Columns p = detail::transposed_times(pool, d.data(), m, n, q); // (3)
  Columns r = detail::orthonormalize(p), v(k, k);
  for (int i = 0; i < k; i++) v.column(i)[i] = 1;
  detail::jacobi(r, v);
  std::vector<double> sizes;
  for (int i = 0; i < k; i++) sizes.push_back(std::sqrt(detail::dot(r.column(i), r.column(i), k)));
  std::vector<int> order(static_cast<size_t>(k));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return sizes[static_cast<size_t>(a)] > sizes[static_cast<size_t>(b)]; });
  Columns ur(k, rank), vr(k, rank);
  std::vector<double> sigma;
  for (int i = 0; i < rank; i++) {
    const int from = order[static_cast<size_t>(i)];
    const double size = sizes[static_cast<size_t>(from)];
    sigma.push_back(size);
    if (size > 0)
      for (int j = 0; j < k; j++) ur.column(i)[j] = r.column(from)[j] / size;
    std::copy(v.column(from), v.column(from) + k, vr.column(i));
  }
  return {std::move(sigma), detail::product(q, vr), detail::product(p, ur)}; // (4)
}

}  // namespace tiller
