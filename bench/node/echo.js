// The Node contestant: keeps a number of calls in flight to an echo worker, and
// prints calls per second.
//
//     node -e "$(cat echo.js)" -- json|advanced CALLS INFLIGHT SIZE
//
// The worker is what child_process.fork starts, a node with an IPC channel; its program
// is given by -e, which fork cannot do.
"use strict";
const { spawn } = require("node:child_process");

const [serialization, ...numbers] = process.argv.slice(1);
const [calls, inFlight, size] = numbers.map(Number);
const payload = "abcdefghijklmnopqrstuvwxyz".repeat(size / 26 + 1).slice(0, size);

const worker = spawn(process.execPath, ["-e", "process.on('message', (call) => process.send(call))"], {
  stdio: ["ignore", "ignore", "inherit", "ipc"],
  serialization,
});
let done = false;
worker.on("exit", (code, signal) => {
  if (!done || code !== 0) fail(`the worker ended: ${code ?? signal}`);
});
worker.on("error", (error) => fail(error.message));

function fail(message) {
  console.error(`echo.js: ${message}`);
  worker.kill();
  process.exit(1);
}

const waiting = new Map();
let lastId = 0;
worker.on("message", ({ id, payload: reply }) => {
  const finished = waiting.get(id);
  waiting.delete(id);
  if (!finished || reply !== payload) fail("a reply differs from its call");
  finished();
});

function call(finished) {
  waiting.set(++lastId, finished);
  worker.send({ id: lastId, payload });
}

function makeCalls(count) {
  return new Promise((resolve) => {
    let started = 0;
    let finished = 0;
    const next = () => {
      started++;
      call(() => {
        if (++finished === count) resolve();
        else if (started < count) next();
      });
    };
    while (started < count && started < inFlight) next();
  });
}

(async () => {
  await makeCalls(Math.floor(calls / 10) + 1);
  const begin = process.hrtime.bigint();
  await makeCalls(calls);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  console.log(`${(calls / seconds).toFixed(1)} calls/s`);
  done = true;
  worker.disconnect();
})();
