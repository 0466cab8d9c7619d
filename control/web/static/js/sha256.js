// SHA-256 piece by piece: the browser's own wants the whole file at once, and HTTPS.
const K = new Uint32Array(64);
const FIRST = new Uint32Array(8);
for (let found = 0, number = 2; found < 64; number += 1) {
  let isPrime = true;
  for (let by = 2; by * by <= number; by += 1) if (number % by === 0) isPrime = false;
  if (!isPrime) continue;
  if (found < 8) FIRST[found] = (number ** 0.5 % 1) * 2 ** 32;
  K[found] = (Math.cbrt(number) % 1) * 2 ** 32;
  found += 1;
}

export class Sha256 {
  constructor() {
    this.state = FIRST.slice();
    this.held = new Uint8Array(64);
    this.heldCount = 0;
    this.size = 0;
    this.words = new Uint32Array(64);
  }

  update(bytes) {
    this.size += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      const taken = Math.min(64 - this.heldCount, bytes.length - at);
      this.held.set(bytes.subarray(at, at + taken), this.heldCount);
      this.heldCount += taken;
      at += taken;
      if (this.heldCount === 64) {
        this.block(this.held);
        this.heldCount = 0;
      }
    }
    return this;
  }

  block(bytes) {
    const w = this.words;
    const turn = (value, by) => (value >>> by) | (value << (32 - by));
    for (let i = 0; i < 16; i += 1) w[i] = (bytes[4 * i] << 24) | (bytes[4 * i + 1] << 16) | (bytes[4 * i + 2] << 8) | bytes[4 * i + 3];
    for (let i = 16; i < 64; i += 1) {
      const small = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
      const big = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
      w[i] = w[i - 16] + small + w[i - 7] + big;
    }
    let [a, b, c, d, e, f, g, h] = this.state;
    for (let i = 0; i < 64; i += 1) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    const s = this.state;
    s[0] += a; s[1] += b; s[2] += c; s[3] += d; s[4] += e; s[5] += f; s[6] += g; s[7] += h;
  }

  hex() {
    const bits = this.size * 8;
    const padding = new Uint8Array(((this.heldCount < 56 ? 56 : 120) - this.heldCount) + 8);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    this.update(padding);
    return [...this.state].map((word) => word.toString(16).padStart(8, "0")).join("");
  }
}
