// tiller-diffusion: trains a latent diffusion model from nothing but pictures and their captions, and
// shows what it has learned. It speaks native/PROTOCOL.md.
//
//   tiller-diffusion train --job job.json       steps, checkpoints
//   tiller-diffusion evaluate --job job.json    validation and samples of one checkpoint
//   tiller-diffusion devices                    what it can compute on here
//
// A run is a pure function of its recipe, data and base: nothing here asks the clock or the process
// for anything that ends up in a weight. So a run that is killed at any step and resumed ends with the
// same bits as one that never was.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <thread>

#include "compute/ggml_backend.h"
#include "diffusion/session.h"
#include "training/conversation.h"

using namespace tiller;

namespace {

// Steps from where the session stands to the job's last.
int train(Session& session, Conversation& conversation) {
  session.reserve_disk();
  const bool ready = session.prepare_latents([&] {
    const Wishes wishes = conversation.hear();
    return !wishes.stop && !wishes.orphaned;
  });
  if (!ready) {
    conversation.say("done", {{"reason", "stopped"}, {"step", session.step()}});
    return kDone;
  }
  std::string checkpoint;
  while (session.step() < session.job().last_step) {
    session.train_step();
    const Wishes wishes = conversation.hear();
    session.set_learning_rate_factor(wishes.learning_rate_factor);

    const bool leave = wishes.stop || wishes.orphaned;
    checkpoint.clear();
    if (session.at_epoch_end()) checkpoint = session.save("epoch");
    else if (wishes.save || leave) checkpoint = session.save("requested");
    else if (session.checkpoint_is_due()) checkpoint = session.save("rolling");

    for (const auto& wish : wishes.samples) session.make_samples(wish);
    if (!leave || session.step() == session.job().last_step) continue;
    conversation.say("done", {{"reason", wishes.stop ? "stopped" : "orphaned"},
                              {"step", session.step()},
                              {"checkpoint", checkpoint}});
    return kDone;
  }
  if (checkpoint.empty()) checkpoint = session.save("epoch");  // the job began at its last step
  conversation.say("done", {{"reason", "finished"}, {"step", session.step()}, {"checkpoint", checkpoint}});
  return kDone;
}

int evaluate(Session& session, Conversation& conversation) {
  Wishes wishes;
  const auto go_on = [&] {
    Wishes heard = conversation.hear();
    for (auto& wish : heard.samples) wishes.samples.push_back(std::move(wish));
    wishes.stop |= heard.stop, wishes.orphaned |= heard.orphaned;
    return !wishes.stop && !wishes.orphaned;
  };
  bool finished = session.validate(go_on) && session.make_samples({"", session.job().sample_prompts}, go_on);
  for (size_t i = 0; finished && i < wishes.samples.size(); i++) {
    const auto wish = wishes.samples[i];  // a copy: listening may add more
    finished = session.make_samples(wish, go_on);
  }
  const char* reason = finished ? "finished" : wishes.stop ? "stopped" : "orphaned";
  conversation.say("done", {{"reason", reason}, {"step", session.step()}});
  return kDone;
}

int devices() {
  Json found = Json::array({{{"name", "cpu"},
                             {"kind", "cpu"},
                             {"type", name_of(DeviceType::cpu)},
                             {"description", "Tiller's own kernels, " + vector_set()},
                             {"memory_bytes", 0}}});
  const auto threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  if (const onednn::Choice choice = onednn::choose(threads); choice.library) found[0]["bf16"] = "oneDNN " + choice.library->name();
  else if (choice.amx) found[0]["no_bf16"] = choice.why;
  for (const auto& device : list_devices()) {
    found.push_back({{"name", device.name},
                     {"kind", device.kind},
                     {"type", name_of(device.type)},
                     {"description", device.description},
                     {"memory_bytes", device.memory_total}});
  }
  write_line(STDOUT_FILENO, {{"devices", found}});
  return kDone;
}

// A device's errors are known here, where devices are.
Failure explain(const std::exception& error) {
  if (const auto* missing = dynamic_cast<const OpMissing*>(&error))
    return {kBadRecipe, "GRAPH_SPLIT", missing->what(), missing->hint};
  if (const auto* device = dynamic_cast<const DeviceError*>(&error))
    return {kBadRecipe, "DEVICE_MISSING", device->what(), device->hint};
  if (dynamic_cast<const OutOfDeviceMemory*>(&error))
    return {kTryAgain, "TRAINER_BUSY", error.what(),
            "Close what else uses the device, or lower train.batch or the sizes of samples.prompts."};
  return failure_of(error);
}

int run(const std::string& stage, const fs::path& job_file, const std::string& program) {
  Conversation conversation;
  try {
    const Job job = read_job(job_file);
    const bool training = stage == "train";
    Session session(job, training, program, conversation);
    conversation.watch(job);
    return training ? train(session, conversation) : evaluate(session, conversation);
  } catch (const std::exception& error) {
    const Failure failure = explain(error);
    std::fprintf(stderr, "%s: %s %s\n", failure.code.c_str(), failure.what(), failure.hint.c_str());
    Json keys = {{"code", failure.code}, {"message", failure.what()}};
    if (!failure.hint.empty()) keys["hint"] = failure.hint;
    keys["exit"] = static_cast<int>(failure.exit);
    try {
      conversation.say("error", keys);
    } catch (const std::system_error& full) {
      std::fprintf(stderr, "%s\n", full.what());  // the exit code still says it
    }
    return failure.exit;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string stage = argc > 1 ? argv[1] : "";
  if (stage == "devices" && argc == 2) return devices();
  if ((stage == "train" || stage == "evaluate") && argc == 4 && std::strcmp(argv[2], "--job") == 0)
    return run(stage, argv[3], argv[0]);
  std::fprintf(stderr,
               "usage: tiller-diffusion train|evaluate --job job.json\n       tiller-diffusion devices\n");
  return kBadRecipe;
}
