/** What workflows cost, counted from their histories: events, and billable actions as Temporal Cloud counts them. */
import type { temporal } from "@temporalio/proto";

type History = temporal.api.history.v1.IHistory;
type Event = temporal.api.history.v1.IHistoryEvent;

export interface HistoryCost {
  readonly events: number;
  readonly actions: number;
  /** Heartbeats leave no event: at most this many, from how long their activities ran. */
  readonly heartbeats: number;
}

export const NO_COST: HistoryCost = { events: 0, actions: 0, heartbeats: 0 };

/** The longest time the SDK holds a heartbeat back; else 0.8 of the activity's heartbeat timeout. */
const maxHeartbeatThrottleSeconds = 60;

export function historyCost(history: History): HistoryCost {
  const events = history.events ?? [];
  return {
    events: events.length,
    actions: events.reduce((sum, event) => sum + actionsOf(event), 0),
    heartbeats: heartbeatsOf(events),
  };
}

export function addCosts(one: HistoryCost, other: HistoryCost): HistoryCost {
  return {
    events: one.events + other.events,
    actions: one.actions + other.actions,
    heartbeats: one.heartbeats + other.heartbeats,
  };
}

/** https://docs.temporal.io/cloud/actions */
function actionsOf(event: Event): number {
  const started = event.workflowExecutionStartedEventAttributes;
  // A child is a start and the request for it; a continued run, even of a child, is one start.
  if (started) return started.parentWorkflowExecution && !started.continuedExecutionRunId ? 2 : 1;
  if (event.activityTaskScheduledEventAttributes) return 1;
  // Retries leave no events of their own, but the last attempt knows its number.
  const attempt = event.activityTaskStartedEventAttributes?.attempt;
  if (attempt) return attempt - 1;
  const isAction =
    event.timerStartedEventAttributes ??
    event.workflowExecutionSignaledEventAttributes ??
    event.workflowExecutionUpdateAcceptedEventAttributes ??
    event.upsertWorkflowSearchAttributesEventAttributes ??
    event.workflowPropertiesModifiedEventAttributes;
  return isAction ? 1 : 0;
}

function heartbeatsOf(events: readonly Event[]): number {
  const scheduled = new Map(events.map((event) => [String(event.eventId), event]));
  let heartbeats = 0;
  for (const event of events) {
    const closed =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskCanceledEventAttributes ??
      event.activityTaskTimedOutEventAttributes;
    if (!closed) continue;
    const asked = scheduled.get(String(closed.scheduledEventId));
    const started = scheduled.get(String(closed.startedEventId));
    const timeout = seconds(asked?.activityTaskScheduledEventAttributes?.heartbeatTimeout);
    if (timeout === 0 || started === undefined) continue;
    const ran = seconds(event.eventTime) - seconds(started.eventTime);
    heartbeats += Math.floor(ran / Math.min(0.8 * timeout, maxHeartbeatThrottleSeconds));
  }
  return heartbeats;
}

/** Of a protobuf timestamp or duration, whose seconds may be a Long. */
function seconds(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return time ? Number(time.seconds ?? 0) + (time.nanos ?? 0) / 1e9 : 0;
}
