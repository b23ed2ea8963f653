/**
 * Every error that Tiller raises on purpose: a stable code, the exit code of the command line, and
 * what it means. `docs/reference/errors.md` has a section for each; a test holds the two together.
 * A retired code moves to `retiredCodes` and is never used again.
 */
export interface ErrorKind {
  /** 1: something failed. 2: the call or the recipe is wrong. */
  exit: 1 | 2;
  summary: string;
}

export const errorCatalogue = {
  // The recipe and the call
  USAGE: { exit: 2, summary: 'a command was called with wrong arguments' },
  RECIPE_NOT_FOUND: { exit: 2, summary: 'the recipe file is not there or cannot be read' },
  RECIPE_SYNTAX: { exit: 2, summary: 'the recipe is not valid YAML or TOML' },
  RECIPE_INVALID: { exit: 2, summary: 'a key of the recipe is unknown, missing or out of range' },
  RUN_NOT_FOUND: { exit: 2, summary: 'no run has this name or id' },
  EPOCH_NOT_FOUND: { exit: 2, summary: 'the run has no such epoch' },
  NAME_TAKEN: { exit: 2, summary: 'another run has this name' },
  REQUEST_REFUSED: { exit: 1, summary: 'the run cannot do this now' },
  // Data
  DATA_FOLDER_MISSING: { exit: 2, summary: 'the data folder is not there' },
  DATA_EMPTY: { exit: 2, summary: 'the data folder holds no usable picture' },
  PROMPT_PICTURE: { exit: 1, summary: 'a picture that a prompt begins from cannot be used' },
  MEMORY_SHORT: { exit: 1, summary: 'the machine has too little memory for the recipe' },
  MASK_SIZE: { exit: 1, summary: 'a mask is not as large as its picture' },
  LATENT_NOT_FINITE: { exit: 1, summary: 'the autoencoder gives NaN for a picture' },
  DATA_CHANGED: {
    exit: 1,
    summary: 'the prepared data set is not the one that the run began with',
  },
  // The record
  RECORD_NEWER: { exit: 1, summary: 'the record was written by a newer Tiller' },
  RECORD_CORRUPT: { exit: 1, summary: 'the record is not a readable SQLite file' },
  RECORD_BUSY: { exit: 1, summary: 'another process kept the record locked' },
  LEASE_LOST: { exit: 1, summary: 'a newer attempt writes for this run' },
  // Machine
  HOME_UNWRITABLE: { exit: 1, summary: 'the home folder cannot be made or written' },
  DISK_FULL: { exit: 1, summary: 'no space is left on the disk' },
  PORT_IN_USE: { exit: 1, summary: 'another program listens on the port' },
  ALREADY_UP: { exit: 1, summary: 'Tiller already runs on this home' },
  PROCESS_FAILED: { exit: 1, summary: 'a process of `tiller up` ends whenever it is started' },
  NOT_UP: { exit: 1, summary: 'Tiller is not running on this home' },
  DEVICE_MISSING: { exit: 1, summary: 'the device of the recipe is not in this machine' },
  GRAPH_SPLIT: { exit: 1, summary: 'the device lacks an operation of the step' },
  // Engine
  ENGINE_NOT_FOUND: {
    exit: 1,
    summary: 'the engine is not here and could not be fetched or built',
  },
  ENGINE_DOWNLOAD_FAILED: { exit: 1, summary: 'the download of the engine failed' },
  ENGINE_BUILD_FAILED: { exit: 1, summary: 'building the engine from its Go module failed' },
  ENGINE_NO_GO: { exit: 1, summary: 'the engine has to be built and there is no Go to do it' },
  ENGINE_VERSION: {
    exit: 1,
    summary: "the engine's database was written by another version of the server",
  },
  ENGINE_DATABASE_CORRUPT: { exit: 1, summary: "the engine's database file cannot be read" },
  ENGINE_START_FAILED: { exit: 1, summary: 'the engine did not become healthy' },
  ENGINE_UNREACHABLE: { exit: 1, summary: 'the engine does not answer' },
  // Native code
  NATIVE_NO_COMPILER: { exit: 1, summary: 'no C++20 compiler was found' },
  NATIVE_NO_GIT: { exit: 1, summary: 'git is needed to unpack the headers' },
  NATIVE_GGML_MISSING: { exit: 1, summary: 'the ggml libraries of node-llama-cpp are missing' },
  NATIVE_COMPILE_FAILED: { exit: 1, summary: 'the trainer did not compile' },
  NATIVE_TOKENIZER: { exit: 1, summary: "the tokenizer's vocabulary cannot be read" },
  // Trainers
  TRAINER_NOT_FOUND: { exit: 1, summary: "the recipe's trainer command cannot be started" },
  TRAINER_BAD_RECIPE: { exit: 1, summary: 'the trainer refused the recipe' },
  TRAINER_BAD_DATA: { exit: 1, summary: 'the trainer refused the data or the base' },
  TRAINER_BUG: { exit: 1, summary: 'the trainer crashed' },
  TRAINER_DISK: { exit: 1, summary: 'the trainer could not write to the disk' },
  TRAINER_BUSY: { exit: 1, summary: 'the trainer ran out of memory, or its device is busy' },
  TRAINER_PROTOCOL: { exit: 1, summary: 'the trainer does not speak this protocol' },
  CHECKPOINT_MISMATCH: {
    exit: 1,
    summary: 'the checkpoint belongs to another recipe, data set or base',
  },
  CHECKPOINT_CORRUPT: {
    exit: 1,
    summary: 'a checkpoint is incomplete, or its bytes do not match its manifest',
  },
  // Bases to train from
  BASE_INPAINTING: { exit: 1, summary: 'the base was made for inpainting, which is not trained' },
  BASE_CHANGED: { exit: 1, summary: 'the base was replaced since the run began' },
  BASE_NOT_FOUND: { exit: 1, summary: 'there is no base at the path' },
  BASE_UNKNOWN: {
    exit: 1,
    summary: 'the base is neither a Stable Diffusion 1.x file nor a folder',
  },
  BASE_PICKLE: { exit: 1, summary: 'the base is a pickle (.ckpt, .bin), which could run code' },
  BASE_GGUF: { exit: 1, summary: 'the base is a GGUF file' },
  BASE_LORA: { exit: 1, summary: 'the base is a LoRA, which changes a base and is none' },
  BASE_SD2: { exit: 1, summary: 'the base is a Stable Diffusion 2.x model' },
  BASE_SDXL: { exit: 1, summary: 'the base is a Stable Diffusion XL model' },
  BASE_CORRUPT: { exit: 1, summary: "a file of the base is cut, or isn't what its header says" },
  BASE_CONFIG: { exit: 1, summary: 'the base has a setting that is not known here' },
  BASE_MISMATCH: { exit: 1, summary: 'the base has other tensors than a model of its sizes' },
  BASE_TYPE: { exit: 1, summary: 'a tensor of the base is neither F32, F16 nor BF16' },
  BASE_NOT_FINITE: { exit: 1, summary: 'a tensor of the base is not finite, read or as written' },
  // LoRA files and exports
  LORA_NOT_FOUND: { exit: 1, summary: 'there is no LoRA file at the path' },
  LORA_UNMATCHED: { exit: 1, summary: 'keys of the LoRA match nothing in the base' },
  LORA_SDXL: { exit: 1, summary: 'the LoRA is for Stable Diffusion XL' },
  LORA_KIND: { exit: 1, summary: 'the file is no LoRA, or of another kind (LoHa, LoKr, DoRA)' },
  LORA_MISMATCH: { exit: 1, summary: 'the LoRA has other shapes than the base' },
  LORA_NOT_FINITE: { exit: 1, summary: 'a tensor of the LoRA is not finite' },
  EXPORT_EXISTS: { exit: 2, summary: 'what is to be written is there already' },
  EXPORT_FOLDER: { exit: 2, summary: 'the folder to export to cannot be made or written' },
  EXPORT_FORMAT: { exit: 2, summary: 'the run cannot be exported in this format' },
  EXPORT_DOES_NOTHING: { exit: 1, summary: 'the exported LoRA would change no picture' },
  EXPORT_STOPPED: { exit: 1, summary: 'the export was stopped before it was written' },
  LOSS_NOT_FINITE: { exit: 1, summary: 'the loss or the gradient is not a finite number' },
  INTERNAL: { exit: 1, summary: 'a bug in Tiller' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCatalogue;

/** Codes that once existed: never used again. */
export const retiredCodes: readonly string[] = [];

/** An error that a user can read: what is wrong and where, and in `hint` what to do. */
export class TillerError extends Error {
  override readonly name = 'TillerError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  get exitCode(): 1 | 2 {
    return errorCatalogue[this.code].exit;
  }

  /** One line: `what and where. what to do [CODE]`. */
  get line(): string {
    const sentence = /[.!?]$/.test(this.message) ? this.message : `${this.message}.`;
    return `${sentence}${this.hint === undefined ? '' : ` ${this.hint}`} [${this.code}]`;
  }
}
