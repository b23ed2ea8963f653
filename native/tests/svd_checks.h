// svd_checks.h   singular values that are known beforehand.
#pragma once

#include "diffusion/lora/svd.h"
#include "tests/golden.h"

namespace tiller {

// U diag(sigma) Vᵀ with random orthonormal U [m, k], V [n, k].
inline std::vector<float> matrix_of(int m, int n, const std::vector<double>& sigma) {
  const int k = static_cast<int>(sigma.size());
  Columns u(m, k), v(n, k);
  for (auto [columns, name] : {std::pair{&u, "svd u"}, {&v, "svd v"}}) {
    const auto values = normals(name, columns->data.size());
    std::copy(values.begin(), values.end(), columns->data.begin());
    detail::orthonormalize(*columns);
  }
  std::vector<float> d(static_cast<size_t>(m) * static_cast<size_t>(n));
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      double sum = 0;
      for (int c = 0; c < k; c++) sum += u.column(c)[i] * sigma[static_cast<size_t>(c)] * v.column(c)[j];
      d[static_cast<size_t>(i) * static_cast<size_t>(n) + static_cast<size_t>(j)] = static_cast<float>(sum);
    }
  return d;
}

inline double not_orthonormal(const Columns& q) {
  double worst = 0;
  for (int a = 0; a < q.count; a++)
    for (int b = 0; b < q.count; b++)
      worst = std::max(worst, std::abs(detail::dot(q.column(a), q.column(b), q.rows) - (a == b)));
  return worst;
}

// |D - U Σ Vᵀ| / |D|
inline double svd_error(const std::vector<float>& d, const Svd& svd) {
  double error = 0, all = 0;
  for (int i = 0; i < svd.u.rows; i++)
    for (int j = 0; j < svd.v.rows; j++) {
      const double value = static_cast<double>(d[static_cast<size_t>(i) * static_cast<size_t>(svd.v.rows) + static_cast<size_t>(j)]);
      double sum = 0;
      for (size_t c = 0; c < svd.sigma.size(); c++) sum += svd.u.column(static_cast<int>(c))[i] * svd.sigma[c] * svd.v.column(static_cast<int>(c))[j];
      error += (value - sum) * (value - sum), all += value * value;
    }
  return std::sqrt(error / std::max(all, 1e-300));
}

inline void svd_checks(Checks& checks) {
  Pool pool(1), two(2);
  std::vector<double> falling;
  for (int i = 0; i < 40; i++) falling.push_back(8 * std::exp(-0.1 * i)); // slowly, as differences of models do
  for (const auto& [m, n] : {std::pair{60, 90}, {90, 60}, {40, 45}}) {
    const auto d = matrix_of(m, n, falling);
    const Svd svd = truncated_svd(pool, d, m, n, 8);
    const std::string what = "SVD of " + std::to_string(m) + "x" + std::to_string(n) + ": ";
    double worst = 0, best = 0, all = 0;
    for (size_t i = 0; i < 8; i++) worst = std::max(worst, std::abs(svd.sigma[i] / falling[i] - 1));
    for (size_t i = 0; i < falling.size(); i++) (i < 8 ? all : best) += falling[i] * falling[i];
    checks.expect(what + "singular values", worst, 1e-3);
    checks.expect(what + "U", not_orthonormal(svd.u), 1e-9);
    checks.expect(what + "V", not_orthonormal(svd.v), 1e-9);
    // No matrix of rank 8 is nearer (Eckart and Young).
    checks.expect(what + "error past the least", svd_error(d, svd) / std::sqrt(best / (all + best)) - 1, 1e-3);
    const Svd same = truncated_svd(two, d, m, n, 8);
    checks.holds(what + "the same with two threads", same.sigma == svd.sigma && same.u.data == svd.u.data && same.v.data == svd.v.data);
  }
  const auto low = matrix_of(30, 20, {3, 2, 1});
  const Svd exact = truncated_svd(pool, low, 30, 20, 6);
  checks.expect("SVD of rank 3, asked for 6: error", svd_error(low, exact), 1e-6);
  checks.expect("SVD of rank 3, asked for 6: the fourth", exact.sigma[3], 1e-5);
  const Svd full = truncated_svd(pool, matrix_of(5, 7, {3, 2, 1, 0.5, 0.25}), 5, 7, 99);
  checks.expect("SVD of all of a small matrix: the last", std::abs(full.sigma.at(4) - 0.25), 1e-6);
  const Svd nothing = truncated_svd(pool, std::vector<float>(12), 3, 4, 2);
  checks.expect("SVD of zeros", svd_error(std::vector<float>(12), nothing) + nothing.sigma[0], 0);
}

}  // namespace tiller
