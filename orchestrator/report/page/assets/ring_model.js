// A vring at any moment: its bytes, and whose each descriptor is, from its first bytes and every change since.
// Split virtqueues, virtio 1.3, 2.7: descriptors of 16 bytes, 16-bit flags and index before both rings.

const KEY_EVERY = 256; // changes between two whole states that are kept
const WITH = { driver: 0, device: 1, back: 2 }; // "back": returned by the device, not offered again since
const FLAG_NEXT = 1;
const FLAG_WRITE = 2;
const FLAG_INDIRECT = 4;

function bytesOf(text) {
  const bytes = new Uint8Array(text.length >> 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.substr(2 * i, 2), 16);
  return bytes;
}

/** Reads one state of a ring. */
class RingState {
  constructor(shape, bytes, owners) {
    Object.assign(this, { shape, bytes, owners });
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  half(offset) {
    return offset + 2 <= this.bytes.length ? this.view.getUint16(offset, true) : 0;
  }

  word(offset) {
    return offset + 4 <= this.bytes.length ? this.view.getUint32(offset, true) : 0;
  }

  get availFlags() { return this.half(this.shape.avail); }
  get availIdx() { return this.half(this.shape.avail + 2); }
  get usedFlags() { return this.half(this.shape.used); }
  get usedIdx() { return this.half(this.shape.used + 2); }

  availRing(slot) {
    return this.half(this.shape.avail + 4 + 2 * (slot % this.shape.num));
  }

  usedRing(slot) {
    const at = this.shape.used + 4 + 8 * (slot % this.shape.num);
    return { id: this.word(at), len: this.word(at + 4) };
  }

  desc(index) {
    const at = this.shape.desc + 16 * index;
    const high = this.word(at + 4);
    return {
      addr: this.word(at) + high * 2 ** 32,
      len: this.word(at + 8),
      flags: this.half(at + 12),
      next: this.half(at + 14),
    };
  }

  /** The descriptors of a chain; what does not end is cut off. */
  chain(head) {
    const found = [];
    for (let i = head; i < this.shape.num && found.length < this.shape.num; i = this.desc(i).next) {
      if (found.includes(i)) break;
      found.push(i);
      if (!(this.desc(i).flags & FLAG_NEXT)) break;
    }
    return found;
  }
}

/** Follows one ring over the run; a moment is reached from the last whole state before it. */
class RingHistory {
  constructor(ring) {
    this.ring = ring;
    this.keys = []; // {at: number of changes applied, shape, bytes, owners}
    let now = null;
    let next = 0;
    for (let i = 0; i <= ring.t.length; i++) {
      while (next < ring.shapes.length && ring.shapes[next].at === i) {
        const shape = ring.shapes[next++];
        now = { shape, bytes: bytesOf(shape.data), owners: new Uint8Array(shape.num) };
        this.see(now, -1, -1);
        this.keys.push({ at: i, ...this.copy(now) });
      }
      if (i < ring.t.length && now) {
        this.apply(now, i);
        if ((i + 1) % KEY_EVERY === 0) this.keys.push({ at: i + 1, ...this.copy(now) });
      }
    }
    this.keyTimes = Float64Array.from(this.keys, (key) => this.timeOfKey(key));
  }

  timeOfKey(key) {
    const before = key.at > 0 ? this.ring.t[key.at - 1] : -1;
    return Math.max(key.shape.since, before);
  }

  copy(state) {
    return { shape: state.shape, bytes: state.bytes.slice(), owners: state.owners.slice() };
  }

  /** The state behind everything up to `ns`; null before the ring was there. */
  at(ns) {
    const key = this.keys[after(this.keyTimes, ns) - 1];
    if (!key) return null;
    const now = this.copy(key);
    const until = after(this.ring.t, ns);
    for (let i = key.at; i < until; i++) this.apply(now, i);
    return new RingState(now.shape, now.bytes, now.owners);
  }

  apply(now, i) {
    const state = new RingState(now.shape, now.bytes, now.owners);
    const [avail, used] = [state.availIdx, state.usedIdx];
    const bytes = bytesOf(this.ring.hex[i]);
    if (this.ring.off[i] + bytes.length <= now.bytes.length) now.bytes.set(bytes, this.ring.off[i]);
    // Stores of one turn may be known by their turn alone: an index counts when all of them are there.
    if (i + 1 >= this.ring.t.length || this.ring.t[i + 1] > this.ring.t[i] || state.availIdx !== avail ||
      state.usedIdx !== used) this.see(now, avail, used);
  }

  /** Whose descriptors are, once indices have moved; from the bytes alone where nobody saw them move. */
  see(now, avail, used) {
    const state = new RingState(now.shape, now.bytes, now.owners);
    const { num } = now.shape;
    if (avail < 0) {
      avail = state.usedIdx;
      used = Math.max(0, state.usedIdx - num);
    }
    const offered = (state.availIdx - avail) & 0xffff;
    const returned = (state.usedIdx - used) & 0xffff;
    if (!state.availIdx && !state.usedIdx) {
      if (offered || returned) now.owners.fill(WITH.driver);
      return;
    }
    if (offered <= num)
      for (let i = 0; i < offered; i++) this.give(state, state.availRing(avail + i), WITH.device);
    if (returned <= num)
      for (let i = 0; i < returned; i++) this.give(state, state.usedRing(used + i).id, WITH.back);
  }

  give(state, head, to) {
    for (const i of state.chain(head)) state.owners[i] = to;
  }

  /** The changes at exactly the moment of the last one up to `ns`: what to point out. */
  latest(ns) {
    const end = after(this.ring.t, ns);
    if (!end) return { t: -1, from: 0, to: 0 };
    const t = this.ring.t[end - 1];
    return { t, from: atOrAfter(this.ring.t, t), to: end };
  }
}

const histories = new Map();
function historyOf(ring) {
  if (!histories.has(ring)) histories.set(ring, new RingHistory(ring));
  return histories.get(ring);
}

function shapeAt(ring, ns) {
  let found = ring.shapes[0];
  for (const shape of ring.shapes) if (shape.since <= ns) found = shape;
  return found;
}

/** What a change is of: `avail.idx`, and ` = 4` where that can be said in a word. */
function partAt(ring, i) {
  const shape = shapeAt(ring, ring.t[i]);
  const at = ring.off[i];
  const bytes = bytesOf(ring.hex[i]);
  const field = fieldAt(shape, at);
  let value = null;
  if (bytes.length <= 4) value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const text = value === null ? ` (${bytes.length} bytes)` : field.start === at ? ` = ${field.hex ? hex(value) : value}` : "";
  return { what: field.name, text };
}

function fieldAt(shape, at) {
  const inside = (start, size) => at >= start && at < start + size;
  if (inside(shape.desc, 16 * shape.num)) {
    const index = Math.floor((at - shape.desc) / 16);
    const offset = (at - shape.desc) % 16;
    const [name, start] = offset < 8 ? ["addr", 0] : offset < 12 ? ["len", 8] : offset < 14 ? ["flags", 12] : ["next", 14];
    return { name: `desc[${index}].${name}`, start: shape.desc + 16 * index + start, hex: name === "addr" };
  }
  if (inside(shape.avail, 4 + 2 * shape.num)) {
    const offset = at - shape.avail;
    if (offset < 2) return { name: "avail.flags", start: shape.avail };
    if (offset < 4) return { name: "avail.idx", start: shape.avail + 2 };
    const slot = (offset - 4) >> 1;
    return { name: `avail.ring[${slot}]`, start: shape.avail + 4 + 2 * slot };
  }
  if (inside(shape.used, 4 + 8 * shape.num)) {
    const offset = at - shape.used;
    if (offset < 2) return { name: "used.flags", start: shape.used };
    if (offset < 4) return { name: "used.idx", start: shape.used + 2 };
    const slot = (offset - 4) >> 3;
    const isLength = (offset - 4) % 8 >= 4;
    return { name: `used.ring[${slot}].${isLength ? "len" : "id"}`, start: shape.used + 4 + 8 * slot + (isLength ? 4 : 0) };
  }
  if (inside(shape.avail + 4 + 2 * shape.num, 2)) return { name: "used_event", start: shape.avail + 4 + 2 * shape.num };
  return { name: "avail_event", start: shape.used + 4 + 8 * shape.num };
}
