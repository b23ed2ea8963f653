/**
 * The helm of one run: takes requests (Updates), tells the run where to go. Nothing here touches the
 * machine; what a trainer must be told goes through the record, where its follower picks it up.
 */
import { CancellationScope, condition, setHandler } from '@temporalio/workflow';
import type { RunRequest } from '../activities/run/requests.ts';
import { requestUpdate, type Wish } from './messages.ts';

export type Stage =
  'preparing' | 'waiting' | 'training' | 'evaluating' | 'paused' | 'exporting' | 'ended';

export class Helm {
  wish: Wish;
  stage: Stage = 'preparing';
  private more: 'extend' | 'make' | undefined;
  private waiting: CancellationScope | undefined;

  constructor(wish: Wish, acknowledge: (request: RunRequest) => Promise<void>) {
    this.wish = wish;
    setHandler(
      requestUpdate,
      async (request) => {
        this.take(request);
        await acknowledge(request);
        if (request.verb === 'extend') this.more = 'extend';
        if (request.verb === 'make') this.more ??= 'make';
      },
      { validator: (request) => this.refuse(request) },
    );
  }

  /** What is asked for right now: a pause or stop that an epoch's end must not wait for. */
  get holds(): boolean {
    return !this.wish.go;
  }

  /** What there is more to do since this was last asked: epochs, or only samples. The record says which. */
  tookMore(): 'extend' | 'make' | undefined {
    const { more } = this;
    this.more = undefined;
    return more;
  }

  /** Waits until the run is to go on or to stop. */
  async untilTold(): Promise<void> {
    await condition(() => this.wish.go || this.wish.verb === 'stop');
  }

  /** Runs a wait that a pause or a stop ends early. Returns whether it came to its own end. */
  async interruptibly(wait: () => Promise<void>): Promise<boolean> {
    if (this.holds) return false;
    const scope = new CancellationScope();
    this.waiting = scope;
    try {
      await scope.run(wait);
      return true;
    } catch (error) {
      if (scope.consideredCancelled && this.holds) return false;
      throw error;
    } finally {
      this.waiting = undefined;
    }
  }

  private take(request: RunRequest): void {
    if (request.verb === 'resume') this.wish = { go: true };
    if (request.verb === 'pause' || request.verb === 'stop') {
      this.wish = { go: false, verb: request.verb, after: request.after };
      this.waiting?.cancel();
    }
  }

  private refuse({ verb }: RunRequest): void {
    const paused = this.stage === 'paused' || (!this.wish.go && this.wish.verb === 'pause');
    if (this.stage === 'ended') throw new Error('the run has ended');
    if (this.stage === 'exporting') {
      throw new Error('the run is at its end and being exported: ask again in a moment');
    }
    if (verb === 'resume' && !paused) throw new Error('the run is not paused');
    if (verb === 'pause' && paused) throw new Error('the run is paused or about to pause');
    if (verb !== 'stop' && !this.wish.go && this.wish.verb === 'stop') {
      throw new Error('the run is about to stop');
    }
    if ((verb === 'save' || verb === 'sample') && this.stage !== 'training') {
      throw new Error(`the run is ${this.stage}, and only a run that is training can do this`);
    }
  }
}
