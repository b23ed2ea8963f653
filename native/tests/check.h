// check.h   one JSON line a check; the process fails if any did.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>

namespace tiller {

class Checks {
 public:
  void expect(const std::string& name, double error, double limit) {
    const bool ok = error <= limit;  // false for NaN
    std::printf("{\"check\":\"%s\",\"error\":%s,\"limit\":%g,\"ok\":%s}\n", name.c_str(),
                std::isfinite(error) ? number(error).c_str() : "null", limit, ok ? "true" : "false");
    std::fflush(stdout);
    failed_ += !ok;
  }
  void holds(const std::string& name, bool ok) { expect(name, ok ? 0 : 1, 0); }
  int exit_code() const { return failed_ ? 1 : 0; }

 private:
  int failed_ = 0;
  static std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
  }
};

// |a - b| / |b| over whole arrays, in F64; absolute where b is (nearly) nothing.
template <class A, class B>
double relative_error(const A& a, const B& b, size_t count, double floor = 1e-12) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < count; i++) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return std::sqrt(difference / std::fmax(size, floor));
}

}  // namespace tiller
