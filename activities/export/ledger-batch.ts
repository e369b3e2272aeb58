/** Gathers customers until there are enough for one statement of the ledger. */
import type pg from "pg";
import type { CycleRef } from "../ledger/cycles.js";
import { recordDatasets } from "../ledger/datasets.js";
import type { CustomerDataset } from "./dataset-writer.js";

const CUSTOMERS_PER_STATEMENT = 500;

export class LedgerBatch {
  private gathered: CustomerDataset[] = [];
  private readonly ledger: pg.Pool;
  private readonly cycle: CycleRef;

  constructor(ledger: pg.Pool, cycle: CycleRef) {
    this.ledger = ledger;
    this.cycle = cycle;
  }

  async add(datasets: readonly CustomerDataset[]): Promise<void> {
    this.gathered.push(...datasets);
    if (this.gathered.length >= CUSTOMERS_PER_STATEMENT) await this.flush();
  }

  async flush(): Promise<void> {
    const { gathered } = this;
    this.gathered = [];
    await recordDatasets(this.ledger, this.cycle, gathered);
  }
}
