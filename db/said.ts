/**
 * What ingest takes: the events of native/PROTOCOL.md as far as they leave something in the record.
 * Written out because this room does not look at native/; its events fit in, which the compiler checks
 * where a worker hands them over.
 */
export type Said =
  | {
      event: 'hello';
      fingerprint: Record<string, string | number | boolean>;
      knows: string[];
    }
  | {
      event: 'step';
      step: number;
      epoch: number;
      loss: number;
      lr?: number | undefined;
      grad_norm?: number | undefined;
      ms?: number | undefined;
    }
  | {
      event: 'validation';
      step: number;
      epoch: number;
      loss: number;
      bins: { timestep: number; loss: number }[];
      items?: number | undefined;
      weights: 'raw' | 'ema';
    }
  | {
      event: 'checkpoint';
      step: number;
      epoch: number;
      path: string;
      sha256: string;
      bytes: number;
      kind: 'rolling' | 'epoch' | 'requested';
    }
  | {
      event: 'sample';
      step: number;
      epoch: number;
      prompt: number;
      seed: number;
      sampler: string;
      sampling_steps: number;
      guidance: number;
      width: number;
      height: number;
      weights: 'raw' | 'ema';
      sha256: string;
      request?: string | undefined;
    }
  | { event: 'warning' | 'error'; code: string; message: string; hint?: string | undefined }
  | {
      event: 'preview';
      step: number;
      epoch: number;
      prompt: number;
      sampling_step: number;
      sampling_steps: number;
      file: string;
    }
  | { event: 'progress'; phase: string; done: number; total: number }
  | (SaidMemory & {
      event: 'memory';
      host?: SaidMemory | undefined;
      nodes?: number | undefined;
      splits?: number | undefined;
    })
  | { event: 'acknowledged' | 'done' };

export interface SaidMemory {
  total_bytes: number;
  available_bytes?: number | undefined;
  parts: { name: string; bytes: number }[];
}

export type EventOf<Name extends Said['event']> = Extract<Said, { event: Name }>;

/** An event, and the byte of the spool behind its line. */
export interface SaidLine {
  event: Said;
  end: number;
}
