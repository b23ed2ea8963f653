// Outpainting: a picture on a larger canvas, and the mask of what is to be made around it.
//
// New pixels have the colours of the picture's edge near them, the more blurred the further away they
// are, and some noise. Models that are blended (inpainting.h) start from this canvas under noise at every
// strength below 1, and keep what is coarse in it. So it must be the colour and brightness that goes on
// from the edge: black or grey would become a frame. Edge pixels drawn out without blur would become
// streaks, and a smooth area without noise stays smooth, as if it were finished.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "compute/rng.h"
#include "diffusion/mask.h"

namespace tiller {

struct Pads {
  int left = 0, top = 0, right = 0, bottom = 0;
  // Pixels of the picture, along the sides that grow, that are made anew with the rest: a seam of 0 can be
  // seen, as the model only meets the picture there.
  int overlap = 0;
};

struct Canvas {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // [height, width, 3]
  Mask mask;
};

namespace detail {

// Sums over rectangles of a picture (F. Crow, "Summed-area tables for texture mapping", 1984).
class AreaSums {
 public:
  AreaSums(const std::vector<uint8_t>& rgb, int width, int height)
      : columns_(static_cast<size_t>(width) + 1), sums_(columns_ * (static_cast<size_t>(height) + 1) * 3) {
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        for (int k = 0; k < 3; k++) {
          const size_t from =
              (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) * 3;
          at(x + 1, y + 1, k) =
              at(x, y + 1, k) + at(x + 1, y, k) - at(x, y, k) + rgb[from + static_cast<size_t>(k)];
        }
  }

  double mean(int left, int top, int right, int bottom, int k) {  // right and bottom are outside
    const uint64_t sum = at(right, bottom, k) + at(left, top, k) - at(left, bottom, k) - at(right, top, k);
    return static_cast<double>(sum) / (static_cast<double>(right - left) * (bottom - top));
  }

 private:
  uint64_t& at(int x, int y, int k) {
    return sums_[(static_cast<size_t>(y) * columns_ + static_cast<size_t>(x)) * 3 + static_cast<size_t>(k)];
  }
  size_t columns_;
  std::vector<uint64_t> sums_;
};

}  // namespace detail

inline Canvas outpaint_canvas(const std::vector<uint8_t>& rgb, int width, int height, const Pads& pads,
                              uint64_t seed) {
  if (width < 1 || height < 1 || rgb.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3)
    throw std::invalid_argument("the picture is not " + size_text(width, height));
  if (std::min({pads.left, pads.top, pads.right, pads.bottom, pads.overlap}) < 0)
    throw std::invalid_argument("a picture grows by pads of 0 pixels or more");
  const double noise = 16;  // deviation in 255ths, reached this many pixels from the picture
  detail::AreaSums sums(rgb, width, height);
  RandomStream random(seed, Purpose::outpainting);
  Canvas canvas{pads.left + width + pads.right, pads.top + height + pads.bottom, {}, {}};
  canvas.mask = make_mask(canvas.width, canvas.height);
  for (int y = -pads.top; y < height + pads.bottom; y++)
    for (int x = -pads.left; x < width + pads.right; x++) {
      const int near_x = std::clamp(x, 0, width - 1), near_y = std::clamp(y, 0, height - 1);
      const int distance = std::max(std::abs(x - near_x), std::abs(y - near_y));
      const bool seam = (pads.left > 0 && x < pads.overlap) ||
                        (pads.right > 0 && x >= width - pads.overlap) || (pads.top > 0 && y < pads.overlap) ||
                        (pads.bottom > 0 && y >= height - pads.overlap);
      canvas.mask.at(x + pads.left, y + pads.top) = distance > 0 || seam ? 1 : 0;
      const double deviation = std::min<double>(distance, noise);
      for (int k = 0; k < 3; k++) {
        double value =
            sums.mean(std::max(0, near_x - distance), std::max(0, near_y - distance),
                      std::min(width, near_x + distance + 1), std::min(height, near_y + distance + 1), k);
        if (distance > 0) value += deviation * static_cast<double>(random.normal());
        canvas.rgb.push_back(static_cast<uint8_t>(std::nearbyint(std::clamp(value, 0.0, 255.0))));
      }
    }
  return canvas;
}

}  // namespace tiller
