// Masks: how much of a place is made anew, from 0 (it stays) to 1. A mask is as large as what it lies
// over; one that is not is refused, for a resized mask would cut where nobody drew.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace tiller {

struct Mask {
  int width = 0, height = 0;
  std::vector<float> values;  // [height, width]

  float at(int x, int y) const {
    return values[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
  }
  float& at(int x, int y) {
    return values[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
  }
};

inline Mask make_mask(int width, int height, float value = 0) {
  return {width, height, std::vector<float>(static_cast<size_t>(width) * static_cast<size_t>(height), value)};
}

inline std::string size_text(int width, int height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

// `what` the mask is for: "the picture", "the latent".
inline void check_mask(const Mask& mask, int width, int height, const std::string& what) {
  if (mask.width != width || mask.height != height)
    throw std::invalid_argument("the mask is " + size_text(mask.width, mask.height) + ", but " + what +
                                " is " + size_text(width, height) + ": make them the same size");
  if (mask.values.size() != static_cast<size_t>(width) * static_cast<size_t>(height))
    throw std::invalid_argument("the mask has " + std::to_string(mask.values.size()) + " values, not " +
                                size_text(width, height));
  for (const float value : mask.values)
    if (!(value >= 0 && value <= 1)) throw std::invalid_argument("a mask's values must be from 0 to 1");
}

// The mask of a latent whose places are stride × stride pixels. A place is made anew as much as the pixel
// of it that needs it most: the mean would leave pixels at the edge half as they were.
inline Mask latent_mask(const Mask& pixels, int stride) {
  check_mask(pixels, pixels.width, pixels.height, "the picture");
  if (stride < 1 || pixels.width % stride != 0 || pixels.height % stride != 0)
    throw std::invalid_argument("the mask is " + size_text(pixels.width, pixels.height) +
                                ", which can't be divided into squares of " + std::to_string(stride) +
                                " pixels");
  Mask mask = make_mask(pixels.width / stride, pixels.height / stride);
  for (int y = 0; y < pixels.height; y++)
    for (int x = 0; x < pixels.width; x++) {
      float& place = mask.at(x / stride, y / stride);
      place = std::max(place, pixels.at(x, y));
    }
  return mask;
}

}  // namespace tiller
