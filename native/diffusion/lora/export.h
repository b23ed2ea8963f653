// One export: what was trained (a checkpoint, a LoRA file, or a fine-tune beside its base) as a file that other
// programs load. A LoRA is looked at before it gets its name: what does nothing leaves no file.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/lora/export_job.h"
#include "diffusion/lora/extract.h"
#include "diffusion/lora/metadata.h"
#include "diffusion/lora/read.h"
#include "diffusion/lora/whole_model.h"
#include "diffusion/lora/write.h"

namespace tiller {

struct ExportedFile {
  std::string path, sha256;
  uint64_t bytes;
};

struct Exported {
  std::vector<ExportedFile> files;
  std::optional<double> difference;   // of the pictures, in levels of 8 bits
  std::optional<double> energy;       // that an extraction kept
  std::optional<Extraction::Left> left;
};

class Exporter {
 public:
  // Is told how far a phase is; may throw to end the export.
  using Progress = std::function<void(const char* phase, size_t done, size_t total)>;

  Exporter(ExportJob job, Progress progress)
      : job_(std::move(job)), progress_(std::move(progress)), pool_(job_.threads) {
    std::error_code ignored;
    if (fs::exists(job_.to, ignored) && !job_.overwrite)
      throw Failure(kBadRecipe, "EXPORT_EXISTS", job_.to.string() + " is there already", "Give another name, or --force.");
    base_.emplace(job_.base);
    if (job_.vae) vae_ = std::make_unique<VaeFiles>(*job_.vae, base_->unet().out_channels);
    trained_ = base_->parameterization().with(job_.prediction, job_.zero_terminal_snr);
    targets_.emplace(*base_);
  }

  // Errors: EXPORT_EXISTS, EXPORT_DOES_NOTHING, EXPORT_FORMAT, and those of what it reads.
  Exported run() {
    std::optional<TrainedFiles> trained;
    if (job_.checkpoint) trained.emplace(*job_.checkpoint, job_.weights);
    if (trained && !trained->is_lora()) {
      trained->match(*base_);
      if (job_.writes_lora())
        throw Failure(kBadRecipe, "EXPORT_FORMAT", "the run trained the weights themselves, not a LoRA", "Export it as single-file, and take a LoRA out of that: tiller extract.");
      return write_model(replaced(*base_, *trained));
    }
    const Lora lora = trained ? trained->lora(*targets_) : job_.lora ? read_lora(*job_.lora, *targets_) : extracted();
    return job_.writes_lora() ? write_checked(lora) : write_model(merged(*base_, lora, job_.scale));
  }

 private:
  Lora extracted() {
    const BaseFiles tuned(*job_.tuned);
    Extraction extraction = extract_lora(pool_, *base_, tuned, *targets_, job_.rank, [&](size_t done, size_t total) { progress_("extract", done, total); });
    result_.energy = extraction.energy;
    result_.left = extraction.left;
    if (extraction.lora.matrices.empty())
      throw does_nothing(job_.tuned->string() + " has the same matrices as " + job_.base.string());
    return std::move(extraction.lora);
  }

  static Failure does_nothing(const std::string& what) {
    return {kBadData, "EXPORT_DOES_NOTHING", what, "Nothing was written. Train longer or at a higher rate, or export another epoch."};
  }

  Exported write_checked(Lora lora) {
    for (const auto& [key, value] : job_.metadata) lora.metadata[key] = value;
    describe_lora(lora.metadata, lora, *targets_, *base_, trained_);
    detail::write_beside(job_.to, [&](const fs::path& to) {
      progress_("write", 0, 1);
      write_lora(to, lora, *targets_, job_.format == "peft" ? LoraKeys::peft : LoraKeys::kohya, job_.dtype);
      const Lora written = read_lora(to, *targets_);
      if (written.matrices.size() != lora.matrices.size()) throw std::logic_error("the LoRA comes back with other matrices");
      if (!job_.verify) return;
      progress_("verify", 0, 1);
      result_.difference = LoraTrial(pool_, *base_, vae_.get(), trained_, *job_.verify).difference(written);
      if (!(*result_.difference > job_.verify->threshold))
        throw does_nothing("a picture with the LoRA of " + job_.to.filename().string() + " is the same as without (" +
                           short_number(static_cast<float>(*result_.difference)).dump() + " levels of 255 apart)");
    });
    return list_files();
  }

  Exported write_model(const TensorSource& source) {
    size_t done = 0, total = 0;
    const auto model = model_of(*base_, vae_.get(), trained_, [&, whole = with_autoencoder(vae_.get(), source)](const std::string& name) {
      progress_("write", done++, total);
      return whole(name);
    });
    total = count_tensors(model);
    WriteOptions options{.dtype = job_.dtype, .metadata = job_.metadata, .tokenizer = job_.tokenizer};
    describe_model(options.metadata, *base_, trained_);
    if (job_.format == "single-file") write_single_file(job_.to, model, options);
    else replace_folder([&] { write_diffusers_folder(job_.to, model, options); });
    return list_files();
  }

  // A folder that is there is put aside until the new one stands.
  template <class Write>
  void replace_folder(const Write& write) const {
    if (!fs::exists(job_.to)) return write();
    const fs::path aside = fs::absolute(job_.to).parent_path() / ("." + job_.to.filename().string() + ".old-" + std::to_string(getpid()));
    rename_file(job_.to, aside);
    try {
      write();
    } catch (...) {
      rename_file(aside, job_.to);
      throw;
    }
    fs::remove_all(aside);
  }

  static size_t count_tensors(const BaseModel& model) {
    Parameters described;
    const UNet unet(described, model.unet);
    std::optional<Vae> vae;
    std::optional<ClipText> text;
    if (model.vae) vae.emplace(described, *model.vae);
    if (model.text) text.emplace(described, *model.text);
    return described.tensors().size();
  }

  Exported list_files() {
    std::vector<fs::path> paths;
    if (!fs::is_directory(job_.to)) paths.push_back(job_.to);
    else
      for (const auto& entry : fs::recursive_directory_iterator(job_.to))
        if (entry.is_regular_file()) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) result_.files.push_back({path.string(), hash_file(path), fs::file_size(path)});
    return std::move(result_);
  }

  const ExportJob job_;
  const Progress progress_;
  Pool pool_;
  std::optional<BaseFiles> base_;
  std::unique_ptr<VaeFiles> vae_;
  Parameterization trained_;
  std::optional<LoraTargets> targets_;
  Exported result_;
};

}  // namespace tiller
