// One job of tiller-diffusion: the model, its data and its position; a step, a checkpoint. What is
// measured and shown of it is in validation.h and samples.h.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "compute/make_optimizer.h"
#include "diffusion/draws.h"
#include "diffusion/finite.h"
#include "diffusion/inputs.h"
#include "diffusion/network.h"
#include "diffusion/samples.h"
#include "diffusion/start.h"
#include "diffusion/validation.h"
#include "training/conversation.h"
#include "training/machine.h"

namespace tiller {

class Session {
 public:
  Session(const Job& job, bool training, const fs::path& program, Conversation& conversation)
      : job_(job),
        recipe_(read_recipe(job.recipe)),
        conversation_(conversation),
        codec_(make_codec(recipe_.model.latent)),
        schedule_(recipe_.train.schedule) {
    if (job_.data_manifest) data_.emplace(*job_.data_manifest);
    if (training && !data_)
      throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE", "job.data is missing",
                    "Give the recipe a data section.");
    state_ = find_start(job_, recipe_, *codec_, data_);
    network_.emplace(recipe_, *codec_, state_.vocabulary, training, job_.device, job_.threads);
    check_sizes(recipe_, codec_->stride() * network_->size_multiple(), data_, state_);
    say_hello(program);
    load(training);
    order_ = ItemOrder(job_.seed, data_ ? data_->train.size() : 1);
    last_save_ = Clock::now();
  }

  const Job& job() const { return job_; }
  int64_t step() const { return state_.step; }

  // ---- training ------------------------------------------------------------------------------

  void train_step() {
    const auto start = Clock::now();
    const int64_t step = state_.step + 1;
    const int batch = recipe_.train.batch, accumulation = recipe_.train.accumulation;
    auto& pass = network_->pass(Network::Use::training, batch, latent_height(), latent_width());
    pass.loss->scale = 1.0 / (static_cast<double>(batch) * accumulation);
    network_->parameters.zero_gradients();
    std::vector<const Item*> items;
    double loss = 0;
    for (int micro = 0; micro < accumulation; micro++) {
      const size_t first = items.size();
      for (int i = 0; i < batch; i++) items.push_back(&fill(pass, i, state_.seen + items.size()));
      pass.forward();
      refuse_infinite(step, pass.loss->losses, std::span(items).subspan(first));
      loss += pass.loss->total();
      pass.backward();
    }
    const OptimizerSettings settings = settings_at(step);
    const double norm = optimizer_->step(network_->pool, settings, step);
    if (!std::isfinite(norm)) throw not_finite("gradient", step, items);
    network_->weights_changed();
    state_.step = step;
    state_.seen += items.size();
    const std::chrono::duration<double, std::milli> ms = Clock::now() - start;
    conversation_.say("step", {{"step", step},
                               {"epoch", epoch()},
                               {"loss", number(loss)},
                               {"lr", settings.learning_rates[0]},
                               {"grad_norm", number(norm)},
                               {"seen", state_.seen},
                               {"ms", std::round(ms.count() * 1000) / 1000},
                               {"items_hash", hash_of(items)}});
  }

  // Kept in checkpoints: what was set before a kill is still set after it.
  void set_learning_rate_factor(std::optional<double> factor) {
    if (factor) state_.learning_rate_factor = *factor;
  }

  // ---- checkpoints ---------------------------------------------------------------------------

  bool at_epoch_end() const { return state_.step % steps_per_epoch() == 0 || state_.step == job_.last_step; }
  bool checkpoint_is_due() const {
    return Clock::now() - last_save_ >= std::chrono::duration<double>(recipe_.checkpoint_seconds);
  }

  // Publishes the state of now, and returns the folder. A complete checkpoint of this step stays.
  std::string save(const std::string& kind) {
    const CheckpointIdentity identity{job_.run, kind, state_.step, epoch(), job_.fingerprint};
    const fs::path parent = job_.folder / "checkpoints";
    auto published = existing_checkpoint(parent, identity);
    if (!published)
      published = write_state(parent, identity, network_->parameters, *optimizer_, state_, job_.recipe.at("model"));
    last_save_ = Clock::now();
    conversation_.say("checkpoint", {{"step", state_.step},
                                     {"epoch", identity.epoch},
                                     {"path", published->path.string()},
                                     {"sha256", published->sha256},
                                     {"bytes", published->bytes},
                                     {"kind", kind}});
    return published->path.string();
  }

  // Better now than at the end of the night: room for one checkpoint.
  void reserve_disk() const {
    const auto needed = network_->parameters.count() * sizeof(float) * (recipe_.train.ema > 0 ? 4 : 3);
    const auto space = fs::space(job_.folder / "checkpoints");
    if (space.available >= needed) return;
    throw Failure(kDisk, "DISK_FULL",
                  "a checkpoint needs " + std::to_string(needed >> 20) + " MiB, and " +
                      (job_.folder / "checkpoints").string() + " has " +
                      std::to_string(space.available >> 20) + " MiB left",
                  "Make room on the disk; the last checkpoint is intact.");
  }

  // ---- what it has learned -------------------------------------------------------------------

  template <class GoOn>
  bool validate(const GoOn& go_on) {
    if (!data_) return true;
    return tiller::validate(context(), *data_, job_.seed, go_on);
  }
  template <class GoOn>
  bool make_samples(const Wishes::Samples& wish, const GoOn& go_on) {
    return tiller::make_samples(context(), wish, go_on);
  }
  void make_samples(const Wishes::Samples& wish) {
    tiller::make_samples(context(), wish, [] { return true; });
  }

 private:
  using Clock = std::chrono::steady_clock;

  Context context() {
    return {recipe_, *network_,     *codec_, schedule_, state_, job_.folder / "samples",
            epoch(), conversation_, warned_};
  }

  // ---- beginning -----------------------------------------------------------------------------

  void say_hello(const fs::path& program) {
    Json fingerprint = {{"device", job_.device},
                        {"threads", job_.threads},
                        {"kernels", vector_set()},
                        {"build", build_id(program)}};
    if (job_.device != "cpu") fingerprint["kernels"] = network_->fingerprint();
    conversation_.say("hello", {{"protocol", 1},
                                {"trainer", "tiller-diffusion"},
                                {"version", "0.1.0"},
                                {"device", job_.device},
                                {"fingerprint", fingerprint},
                                {"knows",
                                 {"step", "validation", "checkpoint", "sample", "progress", "warning",
                                  "error", "acknowledged", "done", "evaluate", "save", "stop", "set"}},
                                {"parameters", network_->parameters.count()}});
  }

  void load(bool training) {
    if (job_.resume) {
      if (training) optimizer_ = make_optimizer("adamw", network_->parameters);
      return read_weights(*job_.resume, network_->parameters, state_, optimizer_.get());
    }
    network_->initialize(job_.seed, state_.vocabulary);
    if (recipe_.base) read_base(*recipe_.base, network_->parameters, Network::kWordTable);
    if (training) optimizer_ = make_optimizer("adamw", network_->parameters);
  }

  // ---- a step's parts ------------------------------------------------------------------------

  int latent_width() const { return state_.width / codec_->stride(); }
  int latent_height() const { return state_.height / codec_->stride(); }

  int64_t steps_per_epoch() const {
    if (recipe_.train.steps_per_epoch) return *recipe_.train.steps_per_epoch;
    const auto a_step =
        static_cast<size_t>(recipe_.train.batch) * static_cast<size_t>(recipe_.train.accumulation);
    return static_cast<int64_t>(data_ ? (data_->train.size() + a_step - 1) / a_step : 1);
  }
  // By the step, since a job may begin in an epoch before its own. An evaluation is of its own.
  int epoch() const {
    return state_.step == job_.last_step
               ? job_.epoch
               : static_cast<int>((state_.step + steps_per_epoch() - 1) / steps_per_epoch());
  }

  // Picture i of a micro-batch, at a position in the row of passes.
  const Item& fill(Network::Pass& pass, int i, uint64_t position) {
    const auto [number, index] = order_.at(position);
    const Item& item = data_->train[index];
    const Draw drawn =
        draw({job_.seed, schedule_.timesteps(), recipe_.caption_dropout, recipe_.flip}, number, item);
    fill_picture(context(), *data_, item, drawn.flip, picture_);
    noise_.resize(picture_.size());
    draw_noise(job_.seed, number, item, noise_.data(), noise_.size());
    fill_noisy(context(), pass, i, drawn.timestep, picture_, noise_);
    pass.loss->weights->data[i] = static_cast<float>(schedule_.weight(drawn.timestep));
    fill_tokens(context(), pass, i, drawn.caption == nullptr ? "" : *drawn.caption);
    return item;
  }

  OptimizerSettings settings_at(int64_t step) const {
    LearningRate rate = recipe_.train.learning_rate;
    rate.total = steps_per_epoch() * recipe_.train.epochs;
    const auto& t = recipe_.train;
    // The average's memory grows to the recipe's: else the first epochs would show the seed's weights.
    const double average = std::min(t.ema, static_cast<double>(1 + step) / static_cast<double>(10 + step));
    const double now = rate.at(step) * state_.learning_rate_factor;
    return {.learning_rates = {now, now},
            .beta1 = t.beta1,
            .beta2 = t.beta2,
            .epsilon = t.epsilon,
            .weight_decay = t.weight_decay,
            .clip = t.clip,
            .average = average};
  }

  static std::string hash_of(const std::vector<const Item*>& items) {
    Sha256 hash;
    for (const Item* item : items) hash.update(item->key);
    return hash.hex().substr(0, 16);
  }

  Job job_;
  Recipe recipe_;
  Conversation& conversation_;
  std::unique_ptr<LatentCodec> codec_;
  Schedule schedule_;
  std::optional<Dataset> data_;
  State state_;
  std::optional<Network> network_;
  std::unique_ptr<Optimizer> optimizer_;
  ItemOrder order_{0, 1};
  std::vector<float> picture_, noise_;
  std::set<std::string> warned_;
  Clock::time_point last_save_;
};

}  // namespace tiller
