// A worker for evfork in Node's standard library. docs/protocol.md has the format.
const CALL = 0, ERROR = 1, EXTENSION = 14, HELLO = 15; // kinds of frames; a call's answer is of kind 0, too
const { stdin, stdout } = process, { setTimeout } = require("timers/promises");
console.log = console.error; // what somebody prints must not come between the frames
const die = (text) => (console.error(text), stdin.destroy(), stdout.write("", () => process.exit(1))); // behind all answers

function pack(values) {
  return Buffer.concat(values.flatMap((value) => {
    const bytes = Buffer.from(value), groups = [bytes.length & 0x7f];
    for (let n = bytes.length >>> 7; n; n >>>= 7) groups.unshift(n & 0x7f | 0x80);
    return [Buffer.from(groups), bytes];
  }));
}

function unpack(data) {
  const values = [];
  for (let at = 0, size = 0; at < data.length;) {
    const byte = data[at++];
    size = size * 128 + (byte & 0x7f); // shifted, it may become negative
    if (at + size + (byte >>> 7) > data.length) throw new Error("not a list of values");
    if (byte < 0x80) values.push(data.subarray(at, at += size)), size = 0;
  }
  return values;
}

function send(kind, id, values) {
  const payload = pack(values), header = Buffer.alloc(8);
  header.writeUInt32BE(payload.length, header.writeUInt32BE((kind << 28 | id) >>> 0));
  stdout.write(Buffer.concat([header, payload]));
}

const functions = { __proto__: null, // or "constructor" would be one of them
  echo: (values) => values,
  event: (values) => (send(CALL, 0, values), ["sent"]),
  fail: ([message]) => { throw new Error(message); },
  async count([job, to, ms]) { // an event per tick
    for (let i = 1; i <= to; i++, send(CALL, 0, [`count ${i - 1} of ${to}`])) await setTimeout(Number(ms));
    return [`job ${job} finished`];
  },
};

async function frame(word, payload) {
  if (word >>> 28 !== CALL) return [HELLO, EXTENSION].includes(word >>> 28) || die(`a frame of kind ${word >>> 28}`);
  try {
    const [name, ...args] = unpack(payload), reply = functions[name](args);
    send(CALL, word, reply.then ? await reply : reply); // at once, if it is one
  } catch (error) { send(ERROR, word, [error.message, "error", ""]); }
}

send(HELLO, 0, ["evfork", "1", "codec", "string"]);
let unread = [], length = 0, wanted = 8; // pieces, their bytes, and how many the next frame has
stdin.on("data", (data) => {
  unread.push(data);
  if ((length += data.length) < wanted) return; // pieces of a long frame are put together once
  let frames = Buffer.concat(unread);
  for (; frames.length >= (wanted = frames.length < 8 ? 8 : 8 + frames.readUInt32BE(4)) && !stdin.destroyed; frames = frames.subarray(wanted))
    frame(frames.readUInt32BE(0), frames.subarray(8, wanted));
  [unread, length] = [[frames], frames.length];
});
stdin.on("end", () => length && die("truncated frame"));
