// One job of tiller-diffusion: the model, its data and its position; a step, a checkpoint. What is
// measured and shown of it is in validation.h and samples.h.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "compute/make_optimizer.h"
#include "diffusion/fill_training.h"
#include "diffusion/finite.h"
#include "diffusion/network.h"
#include "diffusion/read_recipe.h"
#include "diffusion/require_memory.h"
#include "diffusion/samples.h"
#include "diffusion/start.h"
#include "diffusion/validation.h"
#include "training/conversation.h"
#include "training/machine.h"

namespace tiller {

class Session {
 public:
  Session(const Job& job, bool training, const fs::path& program, Conversation& conversation)
      : job_(job), recipe_(read_recipe(job.recipe)), conversation_(conversation) {
    if (job_.data_manifest) data_.emplace(*job_.data_manifest);
    if (training && !data_)
      throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE", "job.data is missing", "Give the recipe a data section.");
    found();
    if (training && foundation_.inpaints())
      throw Failure(kBadData, "BASE_INPAINTING", recipe_.base->string() + " was made for inpainting (its U-Net sees 9 channels), which is not trained here yet",
                    "Train the model that it was made from; samples of this one can be made.");
    check_precision();
    schedule_.emplace(recipe_.train.schedule);
    check_sizes(recipe_, foundation_.size_multiple(), data_, state_);
    network_.emplace(foundation_, recipe_, job_.device, job_.threads);
    reader_ = make_reader(foundation_, job_, state_);
    space_ = make_space(foundation_, job_, state_, network_->pool);
    say_hello(program);
    require_memory({recipe_, foundation_, *network_, planned_work(recipe_, data_, *reader_, state_, training), job_.device}, conversation_);
    network_->allocate(training, recipe_.train.ema > 0, !fuses());
    load(training);
    if (data_) batches_.emplace(job_.seed, entries_of(data_->train), recipe_.train.batch, recipe_.train.accumulation);
    last_save_ = Clock::now();
  }

  const Job& job() const { return job_; }
  int64_t step() const { return state_.step; }

  // ---- training ------------------------------------------------------------------------------

  template <class GoOn>
  bool prepare_latents(const GoOn& go_on) {
    return tiller::prepare_latents(context(), *data_, go_on);
  }

  void train_step() {
    const auto start = Clock::now();
    const int64_t step = state_.step + 1;
    const Batches::Step plan = batches_->at(step);
    const OptimizerSettings settings = settings_at(step);
    network_->parameters.zero_gradients();
    std::vector<const Item*> items;
    double loss = 0, norm = 0;
    for (const MicroBatch& batch : plan.micro_batches) {
      const size_t first = items.size();
      for (const auto& appearance : batch) items.push_back(&data_->train[appearance.item]);
      auto& pass = fill_training(context(), *data_, job_.seed, plan.pass, batch);
      pass.loss->scale = 1.0 / static_cast<double>(plan.pictures());
      pass.forward();
      refuse_infinite(step, pass.loss->losses, std::span(items).subspan(first));
      loss += pass.loss->total();
      if (fused_) norm = pass.backward(*fused_, settings, step);
      else pass.backward();
    }
    if (!fused_) norm = optimizer_->step(network_->pool, settings, step);
    if (!std::isfinite(norm)) throw not_finite("gradient", step, items);
    network_->weights_changed();
    state_.step = step;
    state_.seen += items.size();
    state_.optimizer = optimizer_->numbers();
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
      published = write_state(parent, identity, network_->parameters, *optimizer_, state_, job_.recipe, recipe_.keeps_trained_only());
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
    size_t trained = 0, frozen = 0;
    for (const auto& tensor : network_->parameters.tensors()) (tensor.trainable() ? trained : frozen) += tensor.size();
    const size_t copies = (recipe_.train.ema > 0 ? 2 : 1), moments = optimizer_->states().size();
    const size_t kept = recipe_.keeps_trained_only() ? 0 : frozen;
    const auto needed = sizeof(float) * ((trained + kept) * copies + trained * moments);
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
    return {recipe_, foundation_, *network_, *space_, *reader_, *schedule_, state_, job_.folder / "samples",
            epoch(), conversation_, warned_};
  }

  // ---- beginning -----------------------------------------------------------------------------

  void found() {
    if (recipe_.model.sd1) {
      foundation_ = open_base(recipe_);
      recipe_.train.schedule.prediction = foundation_.trained.prediction.value_or(Prediction::epsilon);
      recipe_.train.schedule.zero_terminal_snr = foundation_.trained.zero_terminal_snr;
      state_ = find_start(job_, recipe_, nullptr, data_, own_);
      return;
    }
    foundation_.codec = make_codec(recipe_.model.latent);
    if (recipe_.base) own_ = open_own_base(*recipe_.base);
    state_ = find_start(job_, recipe_, foundation_.codec.get(), data_, own_);
    foundation_.text = detail::text_of_recipe(recipe_, state_.vocabulary);
    foundation_.unet = detail::unet_of_recipe(recipe_.model, *foundation_.codec);
  }

  // On CUDA ggml adds up what it multiplies in F16 in F16 too, which can overflow; told to add in F32 it multiplies
  // in F32. BF16 has F32's range, so that no loss needs scaling.
  void check_precision() const {
    if (recipe_.train.precision == "f16" && job_.device != "cpu")
      throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE", "recipe.train.precision is f16, in which sums can overflow on a device",
                    "Set train.precision to bf16 or f32.");
  }

  void say_hello(const fs::path& program) {
    const std::string precision = name_of(network_->precision()), &wanted = recipe_.train.precision;
    Json fingerprint = {{"device", job_.device},
                        {"threads", job_.threads},
                        {"precision", precision},
                        {"kernels", (job_.device == "cpu" ? vector_set() : "") + network_->fingerprint()},
                        {"build", build_id(program)}};
    conversation_.say("hello", {{"protocol", 1},
                                {"trainer", "tiller-diffusion"},
                                {"version", "0.1.0"},
                                {"device", job_.device},
                                {"precision", precision},
                                {"fingerprint", fingerprint},
                                {"knows",
                                 {"step", "validation", "checkpoint", "sample", "preview", "progress", "warning",
                                  "error", "acknowledged", "done", "evaluate", "save", "stop", "set"}},
                                {"parameters", network_->parameters.count()},
                                {"trained", network_->parameters.trained_count()}});
    if (recipe_.train.fused && !fuses())
      conversation_.warn("FUSED_UNUSED", "gradients come back from this device together; train.fused_backward is not used",
                         "Leave train.fused_backward out.");
    if (foundation_.files && !recipe_.train.zero_terminal_snr && foundation_.trained.zero_terminal_snr != foundation_.files->parameterization().zero_terminal_snr)
      conversation_.warn("ZERO_SNR_UNUSED", "the base says zero terminal SNR, which epsilon can't have; it is trained and sampled without",
                         "Set train.prediction: v if that is what the base predicts.");
    const std::string why = network_->why_f32().empty() ? "" : " (" + network_->why_f32() + ")";
    if (wanted != "auto" && wanted != precision)
      conversation_.warn("PRECISION_F32", "this device computes in F32; train.precision " + wanted + " is not used" + why,
                         "Leave train.precision at auto.");
  }

  void load(bool training) {
    if (recipe_.model.sd1) {
      network_->load(*foundation_.files, job_.seed);
    } else if (!job_.resume || recipe_.lora) {
      network_->initialize(job_.seed, state_.vocabulary);
      if (own_) read_base(own_->weights, network_->parameters, Network::kWordTable);
    }
    if (training) optimizer_ = make_optimizer(recipe_.train.optimizer, network_->parameters);
    if (training && fuses()) fused_.emplace(network_->parameters, *optimizer_);
    if (job_.resume) read_weights(*job_.resume, network_->parameters, state_, optimizer_.get(), recipe_.keeps_trained_only());
  }

  // A device's gradients come back together.
  bool fuses() const { return recipe_.train.fused && job_.device == "cpu"; }

  static std::vector<Batches::Entry> entries_of(const std::vector<Item>& items) {
    std::vector<Batches::Entry> entries;
    for (const auto& item : items) entries.push_back({item.bucket_width, item.bucket_height, item.repeats});
    return entries;
  }

  // ---- a step's parts ------------------------------------------------------------------------

  int64_t steps_per_epoch() const {
    return recipe_.train.steps_per_epoch ? *recipe_.train.steps_per_epoch : batches_ ? batches_->steps_of_pass() : 1;
  }
  // By the step, since a job may begin in an epoch before its own. An evaluation is of its own.
  int epoch() const {
    return state_.step == job_.last_step
               ? job_.epoch
               : static_cast<int>((state_.step + steps_per_epoch() - 1) / steps_per_epoch());
  }

  OptimizerSettings settings_at(int64_t step) const {
    LearningRate rate = recipe_.train.learning_rate;
    rate.total = steps_per_epoch() * recipe_.train.epochs;
    const auto& t = recipe_.train;
    const double now = rate.at(step) * state_.learning_rate_factor;
    // The text encoder has a peak of its own on the same curve; without one it learns as the U-Net does.
    const double text = t.text_encoder ? t.text_encoder_rate / rate.peak : 1;
    // The average's memory grows to the recipe's: else the first epochs would show the seed's weights.
    const double average = std::min(t.ema, static_cast<double>(1 + step) / static_cast<double>(10 + step));
    return {.learning_rates = {now, now * text},
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
  Foundation foundation_;
  std::optional<OwnBase> own_;
  std::optional<Schedule> schedule_;
  std::optional<Dataset> data_;
  State state_;
  std::optional<Network> network_;
  std::unique_ptr<TextReader> reader_;
  std::unique_ptr<LatentSpace> space_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<FusedStep> fused_;
  std::optional<Batches> batches_;
  std::set<std::string> warned_;
  Clock::time_point last_save_;
};

}  // namespace tiller
