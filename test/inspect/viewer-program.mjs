// A viewer in a process of its own, as a browser is: node viewer-program.mjs SOCKET_URL. It answers to messages of its parent:
// "states" asks for the last state of each instance that it was told of.
import { WebSocket } from "ws";

const states = new Map();
let frames = 0;
const socket = new WebSocket(process.argv[2]);
socket.on("open", () => process.send({ type: "open" }));
socket.on("close", () => process.exit(0));
socket.on("message", (data) => {
  frames += 1;
  const { type, name, sessionId, snapshot } = JSON.parse(Buffer.from(data).toString());
  if (type === "@xstate.actor" && name !== "action-instance") return;
  if (type === "@xstate.actor" || (type === "@xstate.snapshot" && states.has(sessionId)))
    states.set(sessionId, snapshot.value);
});
process.on("message", () => process.send({ type: "states", frames, states: [...states] }));
process.on("disconnect", () => process.exit(0));
