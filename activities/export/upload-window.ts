/** Bounds how many uploads, and how many bytes of them, are under way at a time. */

export interface UploadLimits {
  readonly uploads: number;
  readonly bytes: number;
}

export class UploadWindow {
  private uploads = 0;
  private bytes = 0;
  private failure: { readonly error: unknown } | undefined;
  private waiting: (() => void)[] = [];
  private readonly limits: UploadLimits;

  constructor(limits: UploadLimits) {
    this.limits = limits;
  }

  /** Resolves once the upload is under way, not when it is done. Rejects if an earlier one failed. */
  async start(bytes: number, upload: () => Promise<void>): Promise<void> {
    // One upload larger than the limit goes alone, instead of never.
    while (
      this.uploads >= this.limits.uploads ||
      (this.uploads > 0 && this.bytes + bytes > this.limits.bytes)
    )
      await this.change();
    this.check();
    this.uploads++;
    this.bytes += bytes;
    void upload()
      .catch((error: unknown) => (this.failure ??= { error }))
      .finally(() => {
        this.uploads--;
        this.bytes -= bytes;
        const woken = this.waiting;
        this.waiting = [];
        for (const wake of woken) wake();
      });
  }

  /** Resolves when all are done. Also waits for the rest when one has failed: nothing goes on behind our back. */
  async drain(): Promise<void> {
    while (this.uploads > 0) await this.change();
    this.check();
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
