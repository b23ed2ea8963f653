// A trainer's side of the protocol while it works: it says events, and hears commands, signals and
// that nobody follows it any more.
#pragma once

#include <csignal>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "formats/json_lines.h"
#include "training/failure.h"
#include "training/job.h"

namespace tiller {

// What was asked for since the last look. Each is done after the step that is under way.
struct Wishes {
  struct Samples {
    std::string request;                      // empty: none was named
    std::optional<std::vector<int>> prompts;  // left out: all
  };
  bool save = false, stop = false, orphaned = false;
  std::vector<Samples> samples;
  std::optional<double> learning_rate_factor;
};

class Conversation {
 public:
  Conversation() {
    // A reader that went away is an error of write(2), not the end of the process.
    std::signal(SIGPIPE, SIG_IGN);
    struct sigaction action{};
    action.sa_handler = [](int) { signalled_ = 1; };
    for (const int signal : {SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
  }

  void say(const std::string& event, Json keys) {
    Json line = {{"event", event}};
    line.update(keys);
    write_line(STDOUT_FILENO, line);
  }
  void warn(const std::string& code, const std::string& message, const std::string& hint = "") {
    Json keys = {{"code", code}, {"message", message}};
    if (!hint.empty()) keys["hint"] = hint;
    say("warning", keys);
  }

  void watch(const Job& job) {
    follow_file_ = job.follow_file;
    orphan_after_ = std::chrono::duration<double>(job.orphan_seconds);
    touched_ = modified();
    touched_at_ = looked_at_ = Clock::now();
  }

  Wishes hear() {
    Wishes wishes;
    const auto refused = [&](const std::string& line) {
      warn("COMMAND_UNREADABLE", "a command is not a JSON object: " + line.substr(0, 200));
    };
    while (const auto command = commands_.next(refused)) obey(*command, wishes);
    if (signalled_) wishes.stop = true;
    wishes.orphaned = orphaned();
    return wishes;
  }

 private:
  using Clock = std::chrono::steady_clock;  // a suspended or corrected clock makes no orphan

  void obey(const Json& command, Wishes& wishes) {
    const auto text = [&](const char* key) {
      return command.contains(key) && command[key].is_string() ? command[key].get<std::string>() : "";
    };
    const std::string name = text("command"), request = text("request");
    if (!request.empty()) say("acknowledged", {{"request", request}});
    if (name == "save") wishes.save = true;
    if (name == "stop") wishes.stop = true;
    if (name == "sample") {
      std::optional<std::vector<int>> prompts;
      for (const auto& prompt : command.value("prompts", Json::array())) {
        const auto index = whole_number(prompt, 0, INT32_MAX);
        if (!index) return warn("COMMAND_REFUSED", "sample: " + prompt.dump() + " is not a prompt's index");
        if (!prompts) prompts.emplace();
        prompts->push_back(static_cast<int>(*index));
      }
      wishes.samples.push_back({request, std::move(prompts)});
    }
    if (name == "set" && command.contains("lr_factor")) {
      const Json& factor = command["lr_factor"];
      if (factor.is_number() && factor.get<double>() > 0) wishes.learning_rate_factor = factor.get<double>();
      else warn("COMMAND_REFUSED", "set: lr_factor is " + factor.dump() + ", not a number above 0");
    }
  }

  // The file's time is only compared with itself: what counts is our own clock.
  bool orphaned() {
    if (!follow_file_) return false;
    const auto now = Clock::now();
    if (now - looked_at_ < kLookEvery && now - looked_at_ < orphan_after_ / 4) return false;
    looked_at_ = now;
    if (const auto time = modified(); time != touched_) touched_ = time, touched_at_ = now;
    return now - touched_at_ > orphan_after_;
  }
  std::optional<fs::file_time_type> modified() const {
    if (!follow_file_) return std::nullopt;
    std::error_code error;
    const auto time = fs::last_write_time(*follow_file_, error);
    return error ? std::nullopt : std::optional(time);
  }

  static constexpr auto kLookEvery = std::chrono::milliseconds(500);
  static inline volatile std::sig_atomic_t signalled_ = 0;
  LineReader commands_{STDIN_FILENO};
  std::optional<fs::path> follow_file_;
  std::chrono::duration<double> orphan_after_{0};
  std::optional<fs::file_time_type> touched_;
  Clock::time_point touched_at_, looked_at_;
};

}  // namespace tiller
