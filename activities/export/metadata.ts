/**
 * What an exported file says of its training, in the words that A1111, ComfyUI and kohya's tools show
 * (`ss_*`, all text) and of https://github.com/Stability-AI/ModelSpec. A function of the record: the
 * same epoch gives the same file; it names no path of this machine. What the tensors tell, tiller-export adds itself.
 */
import { basename } from 'node:path';
import type { CheckpointRow } from '../../db/checkpoints.ts';
import type { RunRow } from '../../db/runs.ts';
import type { Recipe } from '../../recipes/schema.ts';
import type { Manifest } from '../dataset/types.ts';
import { dataMetadata } from './data-metadata.ts';

export function exportMetadata(
  run: RunRow,
  recipe: Recipe,
  checkpoint: CheckpointRow,
  manifest: Manifest | undefined,
): Record<string, string> {
  const { train, data } = recipe;
  const values: Record<string, unknown> = {
    ss_output_name: run.name,
    ss_session_id: run.id,
    ss_training_started_at: run.started_at === null ? undefined : run.started_at / 1000,
    ss_training_finished_at: checkpoint.created_at / 1000,
    ss_steps: checkpoint.step,
    ss_epoch: checkpoint.epoch,
    ss_num_epochs: run.epochs,
    ss_max_train_steps: run.steps_per_epoch === null ? undefined : run.steps_per_epoch * run.epochs,
    ss_seed: recipe.seed,
    ss_learning_rate: train.learning_rate,
    ss_unet_lr: train.learning_rate,
    ss_text_encoder_lr: train.text_encoder ? train.text_encoder_learning_rate : undefined,
    ss_optimizer: train.optimizer,
    ss_lr_scheduler: train.schedule,
    ss_lr_warmup_steps: train.warmup_steps,
    ss_gradient_accumulation_steps: train.accumulation,
    ss_gradient_checkpointing: train.gradient_checkpointing,
    ss_mixed_precision: train.precision,
    ss_max_grad_norm: train.clip,
    ss_min_snr_gamma: train.min_snr_gamma,
    ss_noise_offset: train.noise_offset,
    ss_zero_terminal_snr: train.zero_terminal_snr === 'auto' ? undefined : train.zero_terminal_snr,
    ss_clip_skip: recipe.model.clip_skip,
    ss_vae_name: recipe.vae === undefined ? undefined : basename(recipe.vae),
    ss_v2: false,
    ss_caption_dropout_rate: data?.caption_dropout,
    ss_caption_tag_dropout_rate: data?.tag_dropout,
    ss_shuffle_caption: data?.shuffle_captions,
    ss_keep_tokens: data?.keep_tokens,
    ss_prior_loss_weight: data?.prior_loss_weight,
    ss_batch_size_per_device: train.batch,
    'modelspec.title': run.name,
    'modelspec.date': new Date(checkpoint.created_at).toISOString(),
    'modelspec.trigger_phrase': data?.trigger_word,
    'tiller.run': run.id,
  };
  if (data !== undefined) {
    const { resolution } = data;
    values['ss_resolution'] = `(${resolution}, ${resolution})`;
    values['modelspec.resolution'] = `${resolution}x${resolution}`;
    Object.assign(values, dataMetadata(data, manifest));
  }
  return asText(values);
}

/** kohya's tools expect Python's words. */
function asText(values: Record<string, unknown>): Record<string, string> {
  const text = (value: unknown) =>
    typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, text(value)]],
    ),
  );
}
