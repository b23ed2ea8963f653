/**
 * Settings of other trainers that change what is trained and that Tiller lacks: accepted where they
 * are off, refused where they are not. What would be passed over in silence would be trained wrongly.
 */
const OTHER_MODELS = 'Only Stable Diffusion 1.x is trained here.';
const LEAVE = 'Leave it out, or train this with the program that has it.';

interface Refused {
  advice: string;
  /** Values, beside those that are off, which are what is done here. */
  fine: readonly string[];
}

const entries: [names: string, fine?: string, advice?: string][] = [
  [
    'v2 sdxl is_v2 is_xl is_v3 is_flux is_pixart is_auraflow is_ssd is_vega sd3 flux1',
    '',
    OTHER_MODELS,
  ],
  ['arch', 'sd1 sd15 sd sd1.5', OTHER_MODELS],
  ['noise_scheduler', 'ddpm', OTHER_MODELS],
  ['network_module', 'networks.lora', 'networks.lora is what there is here.'],
  ['LoRA_type', 'Standard standard', 'Standard is what there is here.'],
  ['network_type', 'lora', 'lora is what there is here.'],
  ['loss_type', 'l2 mse'],
  ['noise_offset_type', 'Original original'],
  ['max_timestep', '1000'],
  ['min_timestep'],
  ['train_unet', 'true', 'The U-Net is always trained.'],
  [
    'network_train_text_encoder_only network_weights lora_network_weights network_weights_strength dim_from_weights network_dropout rank_dropout module_dropout scale_weight_norms base_weights block_dims block_alphas conv_dims conv_alphas conv_block_dims conv_block_alphas down_lr_weight mid_lr_weight up_lr_weight block_lr_zero_threshold block_lr train_norm use_tucker use_scalar use_cp decompose_both rank_dropout_scale constrain rescaled bypass_mode dora_wd',
  ],
  [
    'adaptive_noise_scale multires_noise_iterations ip_noise_gamma ip_noise_gamma_random_strength noise_offset_random_strength scale_v_pred_loss_like_noise_pred v_pred_like_loss debiased_estimation_loss weighted_captions secondary_separator enable_wildcard color_aug face_crop_aug_range caption_dropout_every_n_epochs caption_prefix caption_suffix token_warmup_min token_warmup_step stop_text_encoder_training train_inpainting learned_snr_gamma do_cfg prompt_dropout_prob match_adapter_lora',
  ],
  ['in_json metadata_file resume lr_scheduler_args additional_parameters'],
  ['keep_tokens_separator train_lora_ti fused_backward_pass'],
];

const STANDARD: Readonly<Record<string, string>> = { token_warmup_min: '1' };

export const refused: ReadonlyMap<string, Refused> = new Map(
  entries.flatMap(([names, fine = '', advice = LEAVE]) =>
    names.split(' ').map((name): [string, Refused] => {
      const usual = STANDARD[name];
      return [
        name,
        { advice, fine: [...fine.split(' '), ...(usual === undefined ? [] : [usual])] },
      ];
    }),
  ),
);
