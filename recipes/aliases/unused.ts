/** Settings of other trainers that need no key here: accepted, and the user is told why. */
const reasons: Readonly<Record<string, string>> = {
  'latents are always kept':
    'cache_latents cache_latents_to_disk cache_text_encoder_outputs cache_text_encoder_outputs_to_disk cache_text_embeddings vae_batch_size skip_cache_check',
  'every epoch is kept, with all that resuming needs':
    'save_every_n_epochs save_every_n_steps save_every save_last_n_epochs save_last_n_epochs_state save_last_n_steps save_last_n_steps_state save_n_epoch_ratio save_state save_state_on_train_end max_step_saves_to_keep output_dir training_folder save_model_as save_precision save_dtype mem_eff_save',
  'samples are made before the first epoch and after every one':
    'sample_every_n_steps sample_every_n_epochs sample_every sample_at_first skip_first_sample sample_start_step force_first_sample',
  'every run has its log and its curves':
    'logging_dir log_with log_prefix log_tracker_name log_tracker_config log_config wandb_api_key wandb_run_name use_wandb performance_log_every training_comment metadata_title metadata_author metadata_description metadata_license metadata_tags no_metadata',
  'attention never keeps its whole table':
    'xformers sdpa mem_eff_attn use_xformers flash_attn attention_mechanism opt_channels_last',
  'loading and threads look after themselves':
    'num_cpu_threads num_cpu_threads_per_process num_processes num_machines multi_gpu gpu_ids main_process_port max_data_loader_n_workers persistent_data_loader_workers dataloader_num_workers num_workers lowram highvram lowvram low_vram low_ram dynamo_backend dynamo_mode dynamo_use_dynamic dynamo_use_fullgraph ddp_timeout ddp_gradient_as_bucket_view ddp_static_graph extra_accelerate_launch_args no_token_padding',
  'weights are kept in 32 bits': 'full_fp16 full_bf16 no_half_vae fp8_base quantize quantize_te',
  'captions are cut at 75 tokens': 'max_token_length',
  'held-out pictures are chosen by `seed`': 'validation_seed',
  'nothing is uploaded':
    'push_to_hub huggingface_repo_id huggingface_repo_type huggingface_repo_visibility huggingface_path_in_repo huggingface_token hf_repo_id hf_private async_upload save_state_to_huggingface',
  'they belong to what is switched off':
    'multires_noise_discount huber_c huber_schedule huber_scale lr_scheduler_power lr_scheduler_num_cycles mask_min_value config_file',
};

/** Why, by name. */
export const unused: ReadonlyMap<string, string> = new Map(
  Object.entries(reasons).flatMap(([reason, names]) =>
    names.split(' ').map((name): [string, string] => [name, reason]),
  ),
);
