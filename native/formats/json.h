// JSON: one type of value, whose objects keep their order, and one way to read it. Another type, or a
// text of another type, would be another parser to compile.
#pragma once

#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace tiller {

using Json = nlohmann::ordered_json;

// What is no JSON becomes a value that is no object, no list and no scalar (is_discarded()).
inline Json parse_json(std::string_view text) { return Json::parse(text, nullptr, /*allow_exceptions=*/false); }

// The value if it is a whole number from `least` to `most`. (get<int>() would cut off what doesn't fit.)
inline std::optional<int64_t> whole_number(const Json& value, int64_t least, int64_t most) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return std::nullopt;
  const auto number = value.get<int64_t>();
  return number < least || number > most ? std::nullopt : std::optional(number);
}

// An F32 with as few digits as tell it apart from the others: 0.18215, not 0.18214999139308929.
inline Json short_number(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return parse_json(std::string_view(text, static_cast<size_t>(end - text)));
}

}  // namespace tiller
