// Group normalization (Wu and He, 2018) with an optional SiLU, over the channels of two sources side
// by side, picture by picture. Formulas: layers/group_norm.h.
#pragma once
#include <cmath>

#include "compute/arena.h"
#include "compute/pool.h"
#include "kernels/functions.h"

namespace tiller {

struct GroupNormJob {
  int pictures, pixels, groups;
  int channels[2];    // of each source; the second may be 0
  const float* x[2];  // [pictures, pixels, channels[s]]
  const float* gamma; // [C], C = the sum of both; padded to a panel, as beta is
  const float* beta;
  float epsilon;
  bool silu;
  float* statistics; // [pictures, groups, 2]: mean, 1 / deviation

  int total() const { return channels[0] + channels[1]; }
};

namespace group_norm_detail {

inline constexpr int kStrip = 4;    // vectors of channels at a time: whole cache lines are read
inline constexpr int kSumRun = 64;  // sums are added up in runs, which keeps rounding errors small

// sums[c] = sum over pixels of (x[p][c] - center[c])^power, power 1 or 2
template <int Power>
inline void channel_sums(const float* x, int pixels, int channels, const float* center, float* sums) {
  for (int c = 0; c < channels; c += kStrip * kLanes) {
    const int vectors = std::min(kStrip, (channels - c + kLanes - 1) / kLanes);
    Vec total[kStrip] = {}, middle[kStrip] = {};
    for (int j = 0; j < vectors; j++) middle[j] = load(center + c + j * kLanes);
    const auto add_run = [&](int p0, int p1, const auto& count_of) {
      Vec run[kStrip] = {};
      for (int p = p0; p < p1; p++)
        for (int j = 0; j < kStrip; j++) {
          if (j >= vectors) break;
          const int at = c + j * kLanes;
          const Vec d = load(x + (size_t)p * channels + at, count_of(at)) - middle[j];
          run[j] += Power == 1 ? d : d * d;
        }
      for (int j = 0; j < kStrip; j++) total[j] += run[j];
    };
    for (int p0 = 0; p0 < pixels; p0 += kSumRun) {
      const int p1 = std::min(pixels, p0 + kSumRun);
      if (vectors == kStrip && channels - c >= kStrip * kLanes) {
        add_run(p0, p1, [](int) { return kLanes; });
      } else {
        add_run(p0, p1, [&](int at) { return channels - at; });
      }
    }
    for (int j = 0; j < vectors; j++) store(sums + c + j * kLanes, total[j], channels - c - j * kLanes);
  }
}

inline void statistics(const GroupNormJob& job, int n, float* center, float* sums) {
  const int channels = job.total(), size = channels / job.groups;
  const double count = (double)job.pixels * size;
  const auto sum_all = [&](auto power) {
    for (int s = 0, base = 0; s < 2; base += job.channels[s++]) {
      const float* x = job.x[s] + (size_t)n * job.pixels * job.channels[s];
      channel_sums<decltype(power)::value>(x, job.pixels, job.channels[s], center + base, sums + base);
    }
  };
  const auto group_mean = [&](int group) {
    double sum = 0;
    for (int c = group * size; c < (group + 1) * size; c++) sum += sums[c];
    return sum / count;
  };
  float* out = job.statistics + (size_t)n * job.groups * 2;
  std::fill(center, center + channels + kLanes, 0.f);
  sum_all(std::integral_constant<int, 1>{});
  for (int g = 0; g < job.groups; g++) out[2 * g] = (float)group_mean(g);
  for (int c = 0; c < channels; c++) center[c] = out[2 * (c / size)];
  sum_all(std::integral_constant<int, 2>{});
  for (int g = 0; g < job.groups; g++) out[2 * g + 1] = (float)(1 / std::sqrt(group_mean(g) + job.epsilon));
}

} // namespace group_norm_detail

// y [pictures, pixels, C], overwritten. The few large pictures of an autoencoder are split among threads.
inline void group_norm_forward(Pool& pool, const GroupNormJob& job, float* y) {
  const int channels = job.total(), size = channels / job.groups;
  pool.split(job.pictures, [&](Range pictures) {
    Scratch scratch;
    float *center = scratch.take(channels + kLanes), *sums = scratch.take(channels + kLanes);
    for (int n = pictures.begin; n < pictures.end; n++) group_norm_detail::statistics(job, n, center, sums);
  });
  const auto normalize = [&](int n, Range pixels) {
    Scratch scratch;
    float *scale = scratch.take(channels + kLanes), *shift = scratch.take(channels + kLanes);
    for (int c = 0; c < channels; c++) {
      const float* mean = job.statistics + ((size_t)n * job.groups + c / size) * 2;
      scale[c] = job.gamma[c] * mean[1];
      shift[c] = job.beta[c] - mean[0] * scale[c];
    }
    for (int s = 0, base = 0; s < 2; base += job.channels[s++]) {
      const int width = job.channels[s];
      const size_t first = (size_t)n * job.pixels + pixels.begin;
      const float* x = job.x[s] + first * width;
      float* out = y + first * channels + base;
      for (int p = pixels.begin; p < pixels.end; p++, x += width, out += channels)
        for (int c = 0; c < width; c += kLanes) {
          const int left = width - c;
          const Vec z = load(x + c, left) * load(scale + base + c) + load(shift + base + c);
          store(out + c, job.silu ? silu(z) : z, left);
        }
    }
  };
  const int parts = (pool.threads() + job.pictures - 1) / job.pictures;
  pool.split(job.pictures * parts, [&](Range range) {
    for (int i = range.begin; i < range.end; i++) normalize(i / parts, part_of(job.pixels, i % parts, parts));
  });
}

struct GroupNormGradients {
  float* dy;           // [pictures, pixels, C]; destroyed
  float* dx[2];        // null where not wanted
  bool accumulate[2];  // add to dx
  float* sums;         // [pictures, 2, round_up(C, lanes)]: each picture's part of dbeta and dgamma
};

// (3) … (6) of layers/group_norm.h for picture n. The derivative of the SiLU is put into dy.
inline void group_norm_backward(const GroupNormJob& job, const GroupNormGradients& g, int n) {
  const int channels = job.total(), size = channels / job.groups;
  const size_t padded = round_up(channels, kLanes);
  const float count = (float)job.pixels * size;
  Scratch scratch;
  float *scale = scratch.take(padded + kLanes), *shift = scratch.take(padded + kLanes);
  float* linear = scratch.take(padded + kLanes); // dx = scale dz + linear x + shift
  float *dbeta = g.sums + (size_t)n * 2 * padded, *dgamma = dbeta + padded;
  const float* statistics = job.statistics + (size_t)n * job.groups * 2;
  for (int c = 0; c < channels; c++) {
    scale[c] = statistics[2 * (c / size) + 1]; // xh = scale x + shift
    shift[c] = -statistics[2 * (c / size)] * scale[c];
  }
  for (int s = 0, base = 0; s < 2; base += job.channels[s++]) {
    const int width = job.channels[s];
    const float* x = job.x[s] + (size_t)n * job.pixels * width;
    float* dy = g.dy + (size_t)n * job.pixels * channels + base;
    for (int c = 0; c < width; c += kLanes) {
      const int left = width - c;
      const Vec a = load(scale + base + c), b = load(shift + base + c);
      const Vec gamma = load(job.gamma + base + c), beta = load(job.beta + base + c);
      Vec sum{}, product{};
      for (int p = 0; p < job.pixels; p++) {
        const Vec xh = load(x + (size_t)p * width + c, left) * a + b;
        Vec dz = load(dy + (size_t)p * channels + c, left);
        if (job.silu) {
          dz *= silu_derivative(xh * gamma + beta); // (3)
          store(dy + (size_t)p * channels + c, dz, left);
        }
        sum += dz;
        product += dz * xh;
      }
      store(dbeta + base + c, sum, left); // (4)
      store(dgamma + base + c, product, left);
    }
  }
  for (int group = 0; group < job.groups; group++) {
    const float mean = statistics[2 * group], r = statistics[2 * group + 1];
    double s1 = 0, s2 = 0;
    for (int c = group * size; c < (group + 1) * size; c++) {
      s1 += job.gamma[c] * dbeta[c];
      s2 += job.gamma[c] * dgamma[c];
    }
    const float m1 = (float)(s1 / count), m2 = (float)(s2 / count); // (5)
    for (int c = group * size; c < (group + 1) * size; c++) {
      scale[c] = r * job.gamma[c];
      linear[c] = -r * r * m2;
      shift[c] = r * (mean * r * m2 - m1);
    }
  }
  for (int s = 0, base = 0; s < 2; base += job.channels[s++]) {
    if (g.dx[s] == nullptr) continue;
    const int width = job.channels[s];
    const float* x = job.x[s] + (size_t)n * job.pixels * width;
    const float* dz = g.dy + (size_t)n * job.pixels * channels + base;
    float* dx = g.dx[s] + (size_t)n * job.pixels * width;
    for (int p = 0; p < job.pixels; p++, x += width, dz += channels, dx += width)
      for (int c = 0; c < width; c += kLanes) { // (6)
        const int left = width - c, at = base + c;
        Vec d = load(dz + c, left) * load(scale + at) + load(x + c, left) * load(linear + at) + load(shift + at);
        if (g.accumulate[s]) d += load(dx + c, left);
        store(dx + c, d, left);
      }
  }
}

} // namespace tiller
