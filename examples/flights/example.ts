/** The flights of New York, as `npm run demo` and `npm run example -- flights` show them. */
import { printLines } from "../../client/cli/print.js";
import { count } from "../../client/cli/words.js";
import { workflowPage } from "../../client/settings.js";
import type { Example, ExampleContext } from "../example.js";
import { heading } from "../run-example.js";
import { approveOneByHand, FLEET, FLEET_FILE, invokeSome } from "./demo-cycle.js";
import { reportLines } from "./demo-report.js";
import { denyWhatServes, planWayBack, type WayBack } from "./demo-way-back.js";
import { FLIGHTS, loadFlights } from "./load.js";

export const example: Example = {
  title: "one model for each destination of New York's flights",
  fleet: FLEET,
  fleetFile: FLEET_FILE,
  // A window is six months long, and the data is of 2013.
  cycles: [
    "2013-07-01",
    "2013-08-01",
    "2013-09-01",
    "2013-10-01",
    "2013-11-01",
    "2013-12-01",
    "2014-01-01",
  ],
  settings: {},
  async load(warehouseUrl, _settings, { tell, python }) {
    const onRows = (rows: number) => tell(`${count(rows)} of ${count(FLIGHTS)} flights`);
    const loaded = await loadFlights({ warehouseUrl, python: await python(), onRows });
    return `${count(FLIGHTS)} flights of 2013 ${loaded ? "loaded into" : "are in"} the warehouse`;
  },
  show,
};

async function show(context: ExampleContext): Promise<void> {
  const { shell, connections, run, ephemeral } = context;
  heading(shell, "A decision by hand", "what the policy leaves open, a person decides");
  const approved = await approveOneByHand(shell, connections, run);
  heading(shell, "Predictions", "for flights that came after the data the models have seen");
  const answers = await invokeSome(shell, connections, run, approved);
  const wayBack = await goBack(context);
  const webPage = workflowPage(process.env, run);
  const outcome = { run, approved, answers, wayBack, webPage, ephemeral };
  printLines(shell, await reportLines(shell, connections, outcome));
}

/** From the second cycle on, when there are versions to go back to. */
async function goBack({ shell, connections, run }: ExampleContext): Promise<WayBack | undefined> {
  const plan = await planWayBack(connections, run);
  if (plan === undefined) return undefined;
  heading(shell, "The way back", "a version that serves is denied, and the one before returns");
  return denyWhatServes(shell, connections, plan);
}
