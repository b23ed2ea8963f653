// Captions as they are composed of their tags, pass by pass.
#include <set>

#include "diffusion/captions.h"
#include "tests/check.h"

using namespace tiller;

namespace {

Checks checks;

std::string name_of(const std::string& what) {
  std::string name;
  for (const char c : what.substr(0, 60)) {
    const bool plain = c != '"' && c != '\\' && static_cast<unsigned char>(c) >= ' ';
    name += plain ? c : '\'';
  }
  return name;
}
std::vector<std::string> tags_of(const std::string& caption) {
  std::vector<std::string> tags;
  for (size_t at = 0; at <= caption.size();) {
    const size_t end = std::min(caption.find(", ", at), caption.size());
    tags.push_back(caption.substr(at, end - at));
    at = end + 2;
  }
  return tags;
}

void captions_as_written() {
  struct Case {
    CaptionSettings settings;
    const char *caption, *expected;
  };
  const CaptionSettings plain, trigger{.trigger_word = "sks dog"}, kept{.keep_tokens = 99, .trigger_word = "sks"};
  const Case cases[] = {
      {plain, " a,b ,, c ", " a,b ,, c "},
      {plain, "", ""},
      {plain, "a [trigger] b", "a  b"},
      {plain, "a, b ||| c", "a, b, c"},
      {plain, "a ||| b ||| c ||| d", "a, b, c, d"},
      {plain, "|||", ""},
      {trigger, "on a beach, sunny", "sks dog, on a beach, sunny"},
      {trigger, "", "sks dog"},
      {trigger, " , ", "sks dog"},
      {trigger, "a sks dog, sunny", "a sks dog, sunny"},
      {trigger, "a sks doghouse", "sks dog, a sks doghouse"},
      {trigger, "xsks dog", "sks dog, xsks dog"},
      {trigger, "photo of [trigger], [trigger]", "photo of sks dog, sks dog"},
      {trigger, "a ||| b", "sks dog, a, b"},
      {{.trigger_word = "[trigger]"}, "a [trigger] b", "a [trigger] b"},
      {{.separator = ";"}, "a; b, c ||| d", "a; b, c; d"},
      {{.separator = "", .shuffle = true}, "a, b", "a, b"},
      {{.separator = "\n", .shuffle = true, .keep_tokens = 9}, "a\n b", "a\nb"},
      {{.shuffle = true, .keep_tokens = 99}, " a,b ,, c ", "a, b, c"},
      {{.shuffle = true, .keep_tokens = -3, .tag_dropout = 1}, "a, b", ""},
      {{.keep_tokens = 1, .tag_dropout = 1}, "a, b, c", "a"},
      {{.tag_dropout = 1, .trigger_word = "sks"}, "a, b sks c, d", "b sks c"},
      {{.keep_tokens = 1, .tag_dropout = 1, .trigger_word = "sks"}, "a, b, c", "sks, a"},
      {{.keep_tokens = 1, .tag_dropout = 1, .trigger_word = "sks, x"}, "a, b, c", "sks, x, a"},
      {{.keep_tokens = 1, .tag_dropout = 1}, "a, b ||| c, d ||| e", "a, b, e"},
      {kept, "a,b", "sks, a,b"},
  };
  for (const auto& [settings, caption, expected] : cases) {
    const std::string got = CaptionComposer(settings, 1).compose(3, 4, caption);
    checks.holds("caption " + name_of(caption) + " to " + name_of(expected), got == expected);
    if (got != expected) std::fprintf(stderr, "%s gives %s, not %s\n", caption, got.c_str(), expected);
  }
}

void shuffled_captions() {
  const std::string caption = "one, two, three, four, five, six, seven, eight";
  const auto all = tags_of(caption);
  const std::multiset<std::string> expected(all.begin(), all.end());
  const CaptionComposer composer({.shuffle = true, .keep_tokens = 2}, 42);
  int lost = 0, moved = 0, repeated = 0;
  std::set<std::string> passes, items, seeds, thirds;
  for (uint32_t i = 0; i < 200; i++) {
    const std::string got = composer.compose(i, 7, caption);
    const auto tags = tags_of(got);
    lost += std::multiset<std::string>(tags.begin(), tags.end()) != expected;
    moved += tags[0] != "one" || tags[1] != "two";
    repeated += got != CaptionComposer({.shuffle = true, .keep_tokens = 2}, 42).compose(i, 7, caption);
    thirds.insert(tags[2]);
    passes.insert(got);
    items.insert(composer.compose(7, i, caption));
    seeds.insert(CaptionComposer({.shuffle = true}, i).compose(7, 7, caption));
  }
  checks.expect("shuffled captions that lose or repeat a tag", lost, 0);
  checks.expect("kept tags that moved", moved, 0);
  checks.expect("the same draw that differs", repeated, 0);
  checks.holds("every other tag comes third", thirds.size() == 6);
  checks.holds("passes differ", passes.size() > 150);
  checks.holds("items differ", items.size() > 150);
  checks.holds("seeds differ", seeds.size() > 150);

  const std::string marked = "head ||| a, b, c, d, e ||| tail";
  int wrong = 0;
  std::set<std::string> orders;
  for (uint32_t pass = 0; pass < 50; pass++) {
    const std::string got = CaptionComposer({.shuffle = true, .keep_tokens = 3}, 1).compose(pass, 1, marked);
    const auto tags = tags_of(got);
    wrong += tags.size() != 7 || tags.front() != "head" || tags.back() != "tail";
    orders.insert(got);
  }
  checks.expect("tags outside of ||| that moved", wrong, 0);
  checks.holds("tags inside of ||| are shuffled, whatever keep_tokens is", orders.size() > 30);
}

void dropped_tags() {
  const std::string caption = "one, two, three, four, five, six, seven, eight";
  const CaptionComposer dropping({.keep_tokens = 1, .tag_dropout = 0.25}, 42),
      both({.shuffle = true, .keep_tokens = 1, .tag_dropout = 0.25}, 42);
  int left = 0, unordered = 0, different = 0;
  double without_two = 0, three_last = 0;
  for (uint32_t pass = 0; pass < 1000; pass++) {
    const auto tags = tags_of(dropping.compose(pass, 7, caption)), mixed = tags_of(both.compose(pass, 7, caption));
    left += static_cast<int>(tags.size()) - 1;
    size_t at = 0;
    for (const auto& tag : tags) {
      const size_t found = caption.find(tag, at);
      unordered += found == std::string::npos;
      at = found + 1;
    }
    if (std::find(mixed.begin(), mixed.end(), "two") == mixed.end()) {
      without_two++;
      three_last += mixed.back() == "three";
    }
    different += std::set<std::string>(tags.begin(), tags.end()) != std::set<std::string>(mixed.begin(), mixed.end());
  }
  // 7000 draws: 0.75 ± 0.02 is four deviations.
  checks.expect("a quarter of the tags is dropped", std::abs(left / 7000.0 - 0.75), 0.02);
  checks.expect("without shuffle the order stays", unordered, 0);
  // From the same numbers it would be last in half of the 250; that it is dropped itself makes 1/6 less.
  checks.expect("what is dropped says nothing of the order", three_last / without_two, 0.25);
  checks.expect("shuffling doesn't change what is dropped", different, 0);
}

}  // namespace

int main() {
  captions_as_written();
  shuffled_captions();
  dropped_tags();
  return checks.exit_code();
}
