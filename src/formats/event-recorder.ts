/**
 * Alertmanager's event recorder (since 0.33, `--enable-feature=event-recorder`): a JSON object an event. In its first
 * schema labels are a list of pairs and the alerts of a group have `details`; since events/v2 labels are a map.
 */
import { isObject, type RawObject } from "./alert-fields.ts";
import { Rejection, shown } from "./rejection.ts";

type RecordedEvent = RawObject & { readonly "@timestamp": string; readonly data: RawObject };

export function isRecordedEvent(value: unknown): value is RecordedEvent {
  return isObject(value) && typeof value["@timestamp"] === "string" && isObject(value.data);
}

/** Events that tell of alerts, and where in them these are. */
const TELLING: Readonly<Record<string, (event: RawObject) => readonly unknown[]>> = {
  alertCreated: ({ alert }) => [alert],
  alertGrouped: ({ alert }) => [alert],
  alertResolved: ({ alert }) => [alert],
  notification: ({ alerts }) => (Array.isArray(alerts) ? alerts : []),
};

/** Events of which nothing follows here: Becalm has silences of its own. */
const SILENT: readonly string[] = [
  "alertmanagerStartupEvent",
  "alertmanagerShutdownEvent",
  "silenceCreated",
  "silenceUpdated",
  "silenceMutedAlert",
  "inhibitionMutedAlert",
];

/** The alerts of an event in the shape of a webhook's. */
export function alertsOfEvent({ data }: RecordedEvent): (RawObject | Rejection)[] | Rejection {
  const kind = Object.keys(data).find((key) => Object.hasOwn(TELLING, key));
  if (kind === undefined) {
    if (Object.keys(data).some((key) => SILENT.includes(key))) return [];
    return new Rejection("shape", `unknown event of Alertmanager's event recorder: ${shown(Object.keys(data)[0])}`);
  }
  const event = data[kind];
  const alerts = isObject(event) ? (TELLING[kind] as (event: RawObject) => readonly unknown[])(event) : [];
  return alerts.map(webhookAlert);
}

function webhookAlert(recorded: unknown): RawObject | Rejection {
  const outer = isObject(recorded) ? recorded : {};
  const { labels, annotations, startsAt, endsAt, resolved } = isObject(outer.details) ? outer.details : outer;
  if (labels === undefined) return new Rejection("labels", "the event holds only the hash of this alert");
  const status = resolved === true ? "resolved" : "firing";
  return { labels: textMap(labels), annotations: textMap(annotations), startsAt, endsAt, status };
}

/** `{ labels: [{ key, value }] }` of the first schema as a map; an empty value is left out of the JSON. */
function textMap(raw: unknown): unknown {
  if (raw === undefined) return raw;
  if (!isObject(raw) || !Array.isArray(raw.labels)) return raw;
  return Object.fromEntries(
    raw.labels.flatMap((pair) =>
      isObject(pair) && typeof pair.key === "string" ? [[pair.key, pair.value ?? ""]] : [],
    ),
  );
}
