// A worker for evfork in Node's standard library. docs/protocol.md has the format.
const CALL = 0, ERROR = 1, EXTENSION = 14, HELLO = 15; // kinds of frames; a call's answer is of kind 0, too
console.log = console.error; // what somebody prints must not come between the frames

function pack(values) {
  return Buffer.concat(values.flatMap((value) => {
    const bytes = Buffer.from(value);
    const groups = [bytes.length & 0x7f];
    for (let n = bytes.length >>> 7; n; n >>>= 7) groups.unshift(n & 0x7f | 0x80);
    return [Buffer.from(groups), bytes];
  }));
}

function unpack(data) {
  const values = [];
  for (let at = 0, size = 0; at < data.length;) {
    const byte = data[at++];
    size = size * 128 + (byte & 0x7f); // shifted, it may become negative
    if (byte & 0x80) continue;
    values.push(data.subarray(at, at += size));
    size = 0;
  }
  return values;
}

function send(kind, id, values) {
  const payload = pack(values), header = Buffer.alloc(8);
  header.writeUInt32BE((kind << 28 | id) >>> 0, 0);
  header.writeUInt32BE(payload.length, 4);
  process.stdout.write(Buffer.concat([header, payload]));
}

const tick = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const functions = {
  echo: (...values) => values,
  event: (...values) => (send(CALL, 0, values), ["sent"]),
  fail: (message) => { throw new Error(message); },
  async count(job, to, ms) { // an event per tick
    for (let i = 1; i <= to; i++, send(CALL, 0, [`count ${i - 1} of ${to}`])) await tick(Number(ms));
    return [`job ${job} finished`];
  },
};

async function frame(word, payload) {
  const kind = word >>> 28;
  if (kind === HELLO || kind === EXTENSION) return;
  if (kind !== CALL) throw new Error(`a frame of kind ${kind}`);
  const [name, ...args] = unpack(payload), end = (kind, values) => send(kind, word, values);
  try { const reply = functions[name](...args); end(CALL, reply.then ? await reply : reply); } // at once, if it is one
  catch (error) { end(ERROR, [error.message, "error", ""]); }
}

send(HELLO, 0, ["evfork", "1", "codec", "string"]);
let unread = Buffer.alloc(0);
process.stdin.on("data", (data) => {
  unread = Buffer.concat([unread, data]);
  for (let size; unread.length >= 8 && unread.length >= 8 + (size = unread.readUInt32BE(4)); unread = unread.subarray(8 + size))
    frame(unread.readUInt32BE(0), unread.subarray(8, 8 + size));
});
process.stdin.on("end", () => { if (unread.length) throw new Error("truncated frame"); });
