// Overlapping tiles along one side of a latent, and how much of each pixel is taken from which tile.
//   weight of tile i at pixel x = ramp up from its first pixel · ramp down to its last, over `overlap`,
//   divided by the sum over all tiles. The picture's own two ends have no ramp.
// A pixel's weight in a grid of tiles is the product of its column's and its row's.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace tiller {

struct TileAxis {
  int tile;                                 // latents; all tiles have the same size
  std::vector<int> starts;                  // latents
  std::vector<std::vector<float>> weights;  // [tile][pixel of the tile]
};

// `stride`: pixels a latent's side. Neighbours share at least `overlap` latents.
inline TileAxis tile_axis(int length, int tile, int overlap, int stride) {
  if (length < 1 || stride < 1 || overlap < 0 || tile <= overlap)
    throw std::invalid_argument("tiles must be larger than what they share");
  TileAxis axis{std::min(tile, length), {}, {}};
  const int room = length - axis.tile, step = tile - overlap, count = (room + step - 1) / step + 1;
  std::vector<float> sum(static_cast<size_t>(length) * static_cast<size_t>(stride));
  const int pixels = axis.tile * stride;
  const float ramp = static_cast<float>(std::max(1, overlap * stride));
  for (int i = 0; i < count; i++) {
    axis.starts.push_back(count == 1 ? 0 : static_cast<int>(static_cast<long long>(room) * i / (count - 1)));
    auto& weights = axis.weights.emplace_back(pixels, 1.f);
    for (int x = 0; x < pixels; x++) {
      float& weight = weights[static_cast<size_t>(x)];
      if (i > 0) weight *= std::min(1.f, (static_cast<float>(x) + 0.5f) / ramp);
      if (i < count - 1) weight *= std::min(1.f, (static_cast<float>(pixels - x) - 0.5f) / ramp);
      sum[static_cast<size_t>(axis.starts.back() * stride + x)] += weight;
    }
  }
  for (int i = 0; i < count; i++)
    for (int x = 0; x < pixels; x++) {
      const auto at = static_cast<size_t>(axis.starts[static_cast<size_t>(i)] * stride + x);
      axis.weights[static_cast<size_t>(i)][static_cast<size_t>(x)] /= sum[at];
    }
  return axis;
}

}  // namespace tiller
