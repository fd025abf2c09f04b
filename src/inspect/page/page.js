/**
 * The page: a list of instances that works by itself, and the hosted inspector beside it where it can be reached.
 *
 * Frames go on to the inspector as they come. One that connects late, or again, gets an actor frame per instance with its present state.
 * Before it connects the first PENDING_COUNT_MAX frames wait for it.
 */
const PENDING_COUNT_MAX = 5_000;
const ROW_COUNT_MAX = 500;
const PATH_COUNT_MAX = 40;
const INSPECTOR_ANSWERS_WITHIN_MS = 8_000;
const RECONNECT_MS = 1_500;
const SPEEDS = [0.5, 1, 2, 5, 10, 50, 200];
const STATES = ["Idle", "Processing", "Proceeding", "Success", "Failed", "Defense", "Waiting", "Skipped"];

const element = (id) => document.getElementById(id);
const { inspectorUrl } = document.body.dataset;

/** By sessionId: the actor frame with its latest snapshot, what is known besides, and the states it went through. */
const actors = new Map();
const abouts = new Map();
/** The way to the next snapshot of an instance. */
const visits = new Map();
let selectedId = null;
let socket = null;
let isDrawn = true;

// --- the socket -------------------------------------------------------------------------------------------------------------------

function connect() {
  const query = new URLSearchParams(location.search);
  query.set("role", "page");
  socket = new WebSocket(`ws://${location.host}/?${query}`);
  socket.addEventListener("open", () => tellConnection("connected", true));
  socket.addEventListener("message", ({ data }) => take(JSON.parse(data)));
  socket.addEventListener("close", () => {
    tellConnection("not connected", false);
    setTimeout(connect, RECONNECT_MS);
  });
}

function tellConnection(text, isLive) {
  element("connection").textContent = text;
  element("connection").classList.toggle("live", isLive);
}

function take(frame) {
  if (frame.type === "becalm.about") abouts.set(frame.sessionId, frame);
  else if (frame.type === "becalm.playback") showPlayback(frame);
  else if (frame.type === "becalm.visits") visits.set(frame.sessionId, frame.visits);
  else {
    keep(frame);
    relay(frame);
    drawSoon();
  }
}

function keep(frame) {
  const known = actors.get(frame.sessionId);
  if (frame.type === "@xstate.actor") {
    actors.delete(frame.sessionId);
    actors.set(frame.sessionId, {
      frame,
      event: null,
      atMs: Number(frame.createdAt),
      path: [{ state: stateOf(frame.snapshot) }],
    });
  } else if (frame.type === "@xstate.snapshot" && known !== undefined) {
    known.frame = { ...known.frame, snapshot: frame.snapshot };
    known.event = frame.event.type;
    known.atMs = Number(frame.createdAt);
    const state = stateOf(frame.snapshot);
    // Without the way, only where it arrived is known.
    const way = visits.get(frame.sessionId) ?? (known.path.at(-1).state === state ? [] : [{ state }]);
    visits.delete(frame.sessionId);
    known.path = [...known.path, ...way].slice(-PATH_COUNT_MAX);
  }
}

/** As the audit lists them: an inner state is its outer one, and a step within it is none. */
function topLevel(path) {
  const states = path.map(({ state }) => state.split(".")[0]);
  return states.filter((state, index) => state !== states[index - 1]);
}

function stateOf({ value }) {
  if (typeof value === "string") return value;
  const [[outer, inner]] = Object.entries(value);
  return `${outer}.${inner}`;
}

// --- the hosted inspector ---------------------------------------------------------------------------------------------------------

let embedded = null;
let isEmbedConnected = false;
let pending = [];

function embed() {
  if (inspectorUrl === "") return;
  document.body.dataset.layout = "trying";
  embedded = document.createElement("iframe");
  embedded.title = "Stately inspector";
  embedded.referrerPolicy = "no-referrer";
  embedded.sandbox = "allow-scripts allow-same-origin allow-popups allow-forms allow-downloads";
  embedded.src = inspectorUrl;
  element("inspector").append(embedded);
  setTimeout(() => {
    if (isEmbedConnected) return;
    document.body.dataset.layout = "list";
    element("notice").textContent = `${inspectorUrl} does not answer; the list works without it.`;
  }, INSPECTOR_ANSWERS_WITHIN_MS);
  window.addEventListener("message", ({ source, origin, data }) => {
    if (source !== embedded.contentWindow || origin !== new URL(inspectorUrl).origin) return;
    if (data?.type !== "@statelyai.connected") return;
    welcomeInspector();
  });
}

function welcomeInspector() {
  const hasAll = !isEmbedConnected && pending.length <= PENDING_COUNT_MAX;
  isEmbedConnected = true;
  document.body.dataset.layout = "both";
  element("notice").textContent = "";
  for (const frame of hasAll ? pending : [...actors.values()].map((actor) => actor.frame)) relay(frame);
  pending = [];
}

function relay(frame) {
  if (isEmbedConnected) embedded.contentWindow.postMessage(frame, new URL(inspectorUrl).origin);
  else if (pending.length <= PENDING_COUNT_MAX) pending.push(frame);
}

// --- the list ---------------------------------------------------------------------------------------------------------------------

function drawSoon() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(() => {
    isDrawn = true;
    draw();
  });
}

function draw() {
  const instances = [...actors.values()].filter(({ frame }) => frame.name === "action-instance");
  drawCounts(instances);
  const wanted = element("filter").value.trim().toLowerCase();
  const matching = instances.filter((actor) => wanted === "" || textOf(actor).includes(wanted));
  matching.sort((a, b) => b.atMs - a.atMs);
  element("rows").replaceChildren(...matching.slice(0, ROW_COUNT_MAX).map(rowOf));
  element("empty").hidden = instances.length > 0;
  element("shown").textContent = shownText(matching.length, instances.length);
  drawDetail();
}

function shownText(matching, all) {
  if (all === 0) return "";
  const shown = Math.min(matching, ROW_COUNT_MAX);
  return shown === all ? `${all} ${all === 1 ? "instance" : "instances"}` : `${shown} of ${all} instances`;
}

function textOf({ frame, path }) {
  const policy = abouts.get(frame.sessionId)?.policy ?? "";
  return [frame.sessionId, policy, frame.parentId ?? "", path.at(-1).state].join(" ").toLowerCase();
}

function drawCounts(instances) {
  const counts = new Map(STATES.map((state) => [state, 0]));
  for (const { path } of instances) {
    const [top] = path.at(-1).state.split(".");
    counts.set(top, (counts.get(top) ?? 0) + 1);
  }
  const shown = [...counts].filter(([, count]) => count > 0);
  element("counts").replaceChildren(...shown.map(([state, count]) => tag("li", `${count} ${state}`, `state ${state}`)));
}

function rowOf({ frame, path, event, atMs }) {
  const row = document.createElement("tr");
  const [top] = path.at(-1).state.split(".");
  const id = tag("button", frame.sessionId, "id");
  id.type = "button";
  const about = abouts.get(frame.sessionId);
  const policy = about === undefined ? "" : about.kind === "action" ? about.policy : `${about.policy} (${about.kind})`;
  row.append(
    cell(tag("span", top, `state ${top}`)),
    cell(id),
    cell(policy),
    cell(event ?? ""),
    cell(String(frame.snapshot.context.attempt || "")),
    cell(timeText(atMs)),
  );
  row.setAttribute("aria-selected", String(frame.sessionId === selectedId));
  row.addEventListener("click", () => select(frame.sessionId));
  return row;
}

function cell(content) {
  const made = document.createElement("td");
  made.append(content);
  return made;
}

function tag(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function timeText(atMs) {
  return `${new Date(atMs).toISOString().slice(11, 23)}`;
}

function select(id) {
  selectedId = id === selectedId ? null : id;
  draw();
}

function drawDetail() {
  const actor = actors.get(selectedId);
  element("detail").hidden = actor === undefined;
  document.body.toggleAttribute("data-detail", actor !== undefined);
  if (actor === undefined) return;
  const { frame, path } = actor;
  element("detail-title").textContent = frame.sessionId;
  element("detail-path").textContent = topLevel(path).join(" → ");
  const query = new URLSearchParams({
    token: new URLSearchParams(location.search).get("token"),
    machine: frame.name,
    path: path
      .map(({ state, event, guard }) => (event === undefined ? state : [state, event, guard].join("~")))
      .join(","),
  });
  const source = `/chart.svg?${query}`;
  const chart = element("chart");
  if (chart.getAttribute("src") !== source) chart.src = source;
  chart.alt = `The machine of ${frame.sessionId}, in ${path.at(-1).state}`;
  element("context").textContent = JSON.stringify(frame.snapshot.context, null, 2);
}

// --- playback ---------------------------------------------------------------------------------------------------------------------

let isPaused = true;

function showPlayback({ isPaused: paused, told, total, speed, atMs }) {
  isPaused = paused;
  element("playback").hidden = false;
  element("toggle").textContent = paused ? "Play" : "Pause";
  element("toggle").disabled = paused && told >= total;
  element("progress").max = Math.max(total, 1);
  element("progress").value = told;
  element("position").textContent = `${told} of ${total} steps${atMs === null ? "" : `, ${timeText(atMs)}`}`;
  const speeds = [...new Set([...SPEEDS, speed])].sort((a, b) => a - b);
  element("speed").replaceChildren(...speeds.map((value) => new Option(`${value}×`, value, false, value === speed)));
}

function command(body) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(body));
}

element("toggle").addEventListener("click", () => command({ command: isPaused ? "play" : "pause" }));
element("restart").addEventListener("click", () => command({ command: "restart" }));
element("speed").addEventListener("change", () => command({ command: "speed", speed: Number(element("speed").value) }));
element("filter").addEventListener("input", draw);
element("close").addEventListener("click", () => select(null));

embed();
connect();
