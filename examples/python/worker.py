"""A worker for evfork in Python's standard library. docs/protocol.md has the format."""
import os, struct, sys

CALL, ERROR, EXTENSION, HELLO = 0, 1, 14, 15  # kinds of frames; a call's answer is of kind 0, too
frames = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what somebody prints must not come between the frames


def pack(values):
    data = bytearray()
    for value in values:
        groups = [len(value) & 0x7F]
        while len(value) >> 7 * len(groups):
            groups.append(len(value) >> 7 * len(groups) & 0x7F | 0x80)
        data += bytes(reversed(groups)) + value
    return bytes(data)


def unpack(data):
    values, size, at = [], 0, 0
    while at < len(data):
        size, more, at = size << 7 | data[at] & 0x7F, data[at] >> 7, at + 1
        if at + size + more > len(data):
            raise ValueError("not a list of values")
        if not more:
            values.append(data[at : at + size])
            size, at = 0, at + size
    return values


def send(kind, id, values):
    frames.write(struct.pack(">II", kind << 28 | id, len(payload := pack(values))) + payload)
    frames.flush()


def fail(message):
    raise ValueError(message.decode())


functions = {
    b"echo": lambda *values: values,
    b"add": lambda a, b: [str(int(a) + int(b)).encode()],
    b"mul": lambda a, b: [str(int(a) * int(b)).encode()],
    b"event": lambda *values: send(CALL, 0, values) or [b"sent"],
    b"fail": fail,
}
send(HELLO, 0, [b"evfork", b"1", b"codec", b"string"])
while header := sys.stdin.buffer.read(8):
    word, size = struct.unpack(">II", header)
    payload = sys.stdin.buffer.read(size)
    if len(payload) < size:
        sys.exit("truncated frame")
    if word >> 28 == CALL:
        try:
            name, *args = unpack(payload) or [b""]
            send(CALL, word, functions[name](*args))
        except Exception as error:
            send(ERROR, word, [str(error).encode(), b"error", b""])
    elif word >> 28 not in (EXTENSION, HELLO):
        sys.exit(f"a frame of kind {word >> 28}")
