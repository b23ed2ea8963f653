export type NativeErrorCode =
  | 'NATIVE_NO_COMPILER'
  | 'NATIVE_NO_GIT'
  | 'NATIVE_GGML_MISSING'
  | 'NATIVE_COMPILE_FAILED'
  | 'NATIVE_TOKENIZER';

/** Why a native program can't be built. The rooms above map it to their own error, code by code. */
export class NativeError extends Error {
  override readonly name = 'NativeError';
  readonly code: NativeErrorCode;
  readonly hint: string | undefined;

  constructor(
    code: NativeErrorCode,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}
