// tiller-export: what was trained, as files that other programs load; a LoRA merged into a base; a LoRA out of
// the difference of two models. A program of its own, so that an export never disturbs a trainer.
//
//   tiller-export JOB.json     diffusion/lora/export_job.h
//
// It says JSON lines as native/PROTOCOL.md has them: progress {phase, done, total}, warning, error {code,
// message, hint, exit}, done {files: [{path, sha256, bytes}], difference?, energy?}. Exit codes are the
// trainers'. A signal ends it with nothing written.
#include <chrono>
#include <csignal>
#include <cstdio>

#include "diffusion/lora/export.h"
#include "formats/json_lines.h"

using namespace tiller;

namespace {

volatile std::sig_atomic_t signalled = 0;

void say(const std::string& event, const Json& keys) {
  Json line = {{"event", event}};
  line.update(keys);
  write_line(STDOUT_FILENO, line);
}

// Where a phase begins and twice a second.
class ProgressLines {
 public:
  void operator()(const char* phase, size_t done, size_t total) {
    if (signalled) throw Failure(kTryAgain, "EXPORT_STOPPED", "the export was stopped", "Nothing was written.");
    const auto now = std::chrono::steady_clock::now();
    if (phase_ == phase && now - said_ < std::chrono::milliseconds(500)) return;
    phase_ = phase, said_ = now;
    say("progress", {{"phase", phase}, {"done", done}, {"total", total}});
  }

 private:
  std::string phase_;
  std::chrono::steady_clock::time_point said_;
};

void say_done(const Exported& exported) {
  if (exported.left && exported.left->count > 0) {
    say("warning", {{"code", "EXTRACT_LEFT_OUT"},
                    {"message", std::to_string(exported.left->count) + " tensors that differ, such as " + exported.left->first +
                                    ", are in no LoRA: norms, biases, embeddings, the first and last layers"}});
  }
  Json files = Json::array();
  for (const auto& file : exported.files) files.push_back({{"path", file.path}, {"sha256", file.sha256}, {"bytes", file.bytes}});
  Json keys = {{"reason", "finished"}, {"files", files}};
  if (exported.difference) keys["difference"] = number(*exported.difference);
  if (exported.energy) keys["energy"] = number(*exported.energy);
  say("done", keys);
}

int fail(const Failure& failure) {
  std::fprintf(stderr, "%s: %s %s\n", failure.code.c_str(), failure.what(), failure.hint.c_str());
  Json keys = {{"code", failure.code}, {"message", failure.what()}};
  if (!failure.hint.empty()) keys["hint"] = failure.hint;
  keys["exit"] = static_cast<int>(failure.exit);
  try {
    say("error", keys);
  } catch (const std::system_error& full) {
    std::fprintf(stderr, "%s\n", full.what());  // the exit code still says it
  }
  return failure.exit;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: tiller-export JOB.json\n");
    return kBadRecipe;
  }
  // A reader that went away, or a limit on files, is an error of write(2), not the end of the process.
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { signalled = 1; });
  try {
    say_done(Exporter(read_export_job(argv[1]), ProgressLines()).run());
    return kDone;
  } catch (const std::exception& error) {
    Failure failure = failure_of(error);
    if (failure.code == "DISK_FULL") failure.hint = "Make room on the disk; nothing was written.";
    return fail(failure);
  }
}
