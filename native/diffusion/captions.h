// A caption as it is trained with in one pass over the data set: a pure function of (seed, pass, item,
// settings). Tags are what separators divide; the names and their meaning are kohya's sd-scripts', the
// trigger word's ai-toolkit's.
//
//   trigger_word   put before a caption that lacks it; [trigger] in a caption becomes it
//   keep_tokens    the first n tags stay where they are; or, if the caption has `|||`, those before it
//                  (and after a second `|||`, those at the end)
//   shuffle        the other tags in another order each pass
//   tag_dropout    each other tag is left out so often; never one with the trigger word
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "compute/rng.h"

namespace tiller {

struct CaptionSettings {
  std::string separator = ",";
  bool shuffle = false;
  int keep_tokens = 0;
  double tag_dropout = 0;
  std::string trigger_word;
};

class CaptionComposer {
 public:
  CaptionComposer(CaptionSettings settings, uint64_t seed) : settings_(std::move(settings)), seed_(seed) {}

  std::string compose(uint32_t pass, uint64_t item, std::string_view caption) const {
    const std::string named = with_trigger(caption);
    const bool marked = named.find(kKeep) != std::string::npos;
    if (!marked && !settings_.shuffle && settings_.tag_dropout <= 0) return named;  // as it was written

    std::vector<std::string> tags, end;
    size_t kept = 0;
    if (marked) {
      const auto parts = cut(named, kKeep);
      tags = split(parts[0]);
      kept = tags.size();
      append(tags, split(parts[1]));
      for (size_t i = 2; i < parts.size(); i++) append(end, split(parts[i]));
    } else {
      tags = split(named);
      kept = std::min(tags.size(), static_cast<size_t>(std::max(settings_.keep_tokens, 0) + added(caption)));
    }
    std::vector<std::string> result(tags.begin(), tags.begin() + static_cast<std::ptrdiff_t>(kept));
    append(result, drawn(pass, item, {tags.begin() + static_cast<std::ptrdiff_t>(kept), tags.end()}));
    append(result, end);
    return joined(result);
  }

 private:
  static constexpr std::string_view kKeep = "|||", kPlaceholder = "[trigger]";

  std::vector<std::string> drawn(uint32_t pass, uint64_t item, const std::vector<std::string>& tags) const {
    RandomStream order(seed_, Purpose::tag_order, pass, item), dropout(seed_, Purpose::tag_dropout, pass, item);
    std::vector<bool> dropped;
    for (const auto& tag : tags) {
      const bool unlucky = static_cast<double>(dropout.uniform()) < settings_.tag_dropout;
      dropped.push_back(unlucky && !has_trigger(tag));
    }
    const int count = static_cast<int>(tags.size());
    std::vector<int> places(tags.size());
    std::iota(places.begin(), places.end(), 0);
    if (settings_.shuffle) places = order.permutation(count);
    std::vector<std::string> result;
    for (const int place : places)
      if (!dropped[static_cast<size_t>(place)]) result.push_back(tags[static_cast<size_t>(place)]);
    return result;
  }

  // How many tags with_trigger() puts before those of the caption: they are kept as well.
  int added(std::string_view caption) const {
    return !settings_.trigger_word.empty() && !has_trigger(replaced(caption))
               ? static_cast<int>(split(settings_.trigger_word).size())
               : 0;
  }
  std::string with_trigger(std::string_view caption) const {
    const std::string text = replaced(caption);
    if (settings_.trigger_word.empty() || has_trigger(text)) return text;
    return split(text).empty() ? settings_.trigger_word : settings_.trigger_word + glue() + text;
  }
  std::string replaced(std::string_view caption) const {
    std::string text(caption);
    const std::string& word = settings_.trigger_word;
    for (size_t at = 0; (at = text.find(kPlaceholder, at)) != std::string::npos; at += word.size())
      text.replace(at, kPlaceholder.size(), word);
    return text;
  }
  // As words of their own: "cat" is not in "category".
  bool has_trigger(std::string_view text) const {
    const std::string& word = settings_.trigger_word;
    if (word.empty()) return false;
    for (size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; at++) {
      const size_t end = at + word.size();
      const bool begins = at == 0 || !(in_word(text[at - 1]) && in_word(word.front()));
      if (begins && (end == text.size() || !(in_word(text[end]) && in_word(word.back())))) return true;
    }
    return false;
  }
  static bool in_word(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           static_cast<unsigned char>(c) >= 0x80;
  }

  static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  // At least one part; an empty mark cuts nothing.
  static std::vector<std::string_view> cut(std::string_view text, std::string_view mark) {
    std::vector<std::string_view> parts;
    for (size_t end; !mark.empty() && (end = text.find(mark)) != std::string_view::npos;) {
      parts.push_back(text.substr(0, end));
      text.remove_prefix(end + mark.size());
    }
    parts.push_back(text);
    return parts;
  }
  // Without the spaces around them; empty ones are left out.
  std::vector<std::string> split(std::string_view text) const {
    std::vector<std::string> tags;
    for (std::string_view tag : cut(text, settings_.separator)) {
      while (!tag.empty() && is_space(tag.front())) tag.remove_prefix(1);
      while (!tag.empty() && is_space(tag.back())) tag.remove_suffix(1);
      if (!tag.empty()) tags.emplace_back(tag);
    }
    return tags;
  }
  static void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
    to.insert(to.end(), from.begin(), from.end());
  }
  std::string glue() const {
    const std::string& s = settings_.separator;
    return s.empty() || is_space(s.back()) ? s : s + " ";
  }
  std::string joined(const std::vector<std::string>& tags) const {
    std::string text;
    for (const auto& tag : tags) text += (text.empty() ? "" : glue()) + tag;
    return text;
  }

  CaptionSettings settings_;
  uint64_t seed_;
};

}  // namespace tiller
