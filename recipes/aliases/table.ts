/**
 * What other trainers (sd-scripts, kohya_ss, ai-toolkit, OneTrainer, diffusers) call our keys.
 * docs/reference/recipe.md lists them; a test holds the two together.
 */
import * as values from './values.ts';

export interface Alias {
  /** Our key, dotted. */
  to: string;
  convert?: (value: unknown) => unknown;
  /** What is told instead of "NAME is KEY here", where there is more to say. */
  note?: (name: string, value: unknown) => string | undefined;
}

const one = (
  to: string,
  names: string,
  convert?: Alias['convert'],
  note?: Alias['note'],
): [string, Alias][] =>
  names
    .split(' ')
    .map((name) => [name, { to, ...(convert && { convert }), ...(note && { note }) }]);

const entries: [string, Alias][] = [
  ...one('name', 'output_name', values.runName),
  ...one('seed', 'seed'),
  ...one('threads', 'num_threads'),
  ...one('device', 'device', values.device),
  ...one('base', 'pretrained_model_name_or_path name_or_path base_model_name'),
  ...one('vae', 'vae vae_path'),
  ...one('model.clip_skip', 'clip_skip'),
  ...one('model.clip_skip', 'text_encoder_layer_skip', values.layerSkip),
  ...one('lora.rank', 'network_dim lora_rank linear rank'),
  ...one('lora.alpha', 'network_alpha lora_alpha linear_alpha'),
  ...one('lora.conv_rank', 'conv_dim conv'),
  ...one('lora.conv_alpha', 'conv_alpha'),
  ...one('data.folder', 'train_data_dir image_dir folder_path instance_data_dir'),
  ...one('data.fit', 'enable_bucket', values.whenTrue('buckets', 'square')),
  ...one('data.resolution', 'resolution max_resolution'),
  ...one('data.bucket_min', 'min_bucket_reso'),
  ...one('data.bucket_max', 'max_bucket_reso'),
  ...one('data.bucket_step', 'bucket_reso_steps'),
  ...one('data.upscale', 'bucket_no_upscale', values.not),
  ...one('data.crop', 'random_crop', values.whenTrue('random', 'centre')),
  ...one('data.repeats', 'num_repeats dataset_repeats'),
  ...one(
    'data.caption_extension',
    'caption_extension caption_extention caption_ext',
    values.extensions,
  ),
  ...one('data.default_caption', 'default_caption class_tokens instance_prompt'),
  ...one('data.trigger_word', 'trigger_word'),
  ...one('data.shuffle_captions', 'shuffle_caption shuffle_tokens'),
  ...one('data.keep_tokens', 'keep_tokens'),
  ...one('data.tag_dropout', 'caption_tag_dropout_rate token_dropout_rate'),
  ...one('data.caption_dropout', 'caption_dropout_rate'),
  ...one('data.flip', 'flip_aug flip_x random_flip'),
  ...one('data.masks', 'alpha_mask', values.whenTrue('alpha', 'none')),
  ...one('data.masks', 'masked_loss masked_training', values.whenTrue('folder', 'none')),
  ...one('data.mask_folder', 'mask_path conditioning_data_dir'),
  ...one('data.regularisation_folder', 'reg_data_dir class_data_dir'),
  ...one('data.prior_loss_weight', 'prior_loss_weight reg_weight'),
  ...one('data.validation_share', 'validation_split val_set_size'),
  ...one('train.epochs', 'max_train_epochs num_train_epochs num_epochs epoch'),
  ...one('train.steps_per_epoch', 'max_train_steps steps'),
  ...one('train.batch', 'train_batch_size batch_size micro_batch_size'),
  ...one('train.accumulation', 'gradient_accumulation_steps gradient_accumulation'),
  ...one('train.prediction', 'v_parameterization is_v_pred', values.whenTrue('v', 'epsilon')),
  ...one('train.min_snr_gamma', 'min_snr_gamma snr_gamma'),
  ...one('train.noise_offset', 'noise_offset offset_noise_weight'),
  ...one('train.zero_terminal_snr', 'zero_terminal_snr'),
  ...one('train.optimizer', 'optimizer_type optimizer', values.optimizer),
  ...one('train.optimizer', 'use_8bit_adam', values.whenTrue('adamw8bit', 'adamw')),
  ...one('train.weight_decay', 'weight_decay adam_weight_decay optimizer_args'),
  ...one('train.beta1', 'adam_beta1'),
  ...one('train.beta2', 'adam_beta2'),
  ...one('train.epsilon', 'adam_epsilon'),
  ...one('train.learning_rate', 'learning_rate unet_lr lr'),
  ...one(
    'train.schedule',
    'lr_scheduler lr_scheduler_type learning_rate_scheduler',
    values.schedule,
  ),
  ...one('train.warmup_steps', 'lr_warmup_steps learning_rate_warmup_steps lr_warmup'),
  ...one('train.clip', 'max_grad_norm clip_grad_norm'),
  ...one('train.text_encoder', 'network_train_unet_only', values.not),
  ...one('train.text_encoder', 'train_text_encoder'),
  ...one('train.text_encoder_learning_rate', 'text_encoder_lr'),
  ...one(
    'train.precision',
    'mixed_precision dtype train_dtype',
    values.precision,
    values.precisionNote,
  ),
  ...one('train.gradient_checkpointing', 'gradient_checkpointing'),
  ...one('train.ema', 'use_ema ema_decay'),
  ...one('samples.prompts_file', 'sample_prompts'),
  ...one('samples.sampler', 'sample_sampler'),
  ...one('samples.steps', 'sample_steps'),
  ...one('samples.guidance', 'guidance_scale cfg'),
];

export const aliases: ReadonlyMap<string, Alias> = new Map(entries);
