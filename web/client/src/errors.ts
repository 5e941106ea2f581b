import type { ChoraleErrorLike } from "./types";

/** An error with a stable code (docs/errors.md) and a word on whether the same request may succeed later. */
export class ChoraleError extends Error implements ChoraleErrorLike {
  override readonly name: string = "ChoraleError";
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
