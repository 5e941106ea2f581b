/** Makes version 7 UUIDs (RFC 9562, 5.7): 48 bits of ms, then random bits, of which 12 count up within a ms. */
export function createUuid(now: () => number, random: () => number): () => string {
  let lastMs = 0;
  let sequence = 0;
  return () => {
    const ms = Math.floor(now());
    if (ms > lastMs) {
      lastMs = ms;
      sequence = Math.floor(random() * 0x400); // room to count up
    } else if (++sequence > 0xfff) {
      // More than a ms can hold, or a clock that went back: ids stay monotonic by borrowing from the future.
      lastMs++;
      sequence = 0;
    }
    const time = lastMs.toString(16).padStart(12, "0");
    const bits = (digits: number) =>
      Math.floor(random() * 16 ** digits)
        .toString(16)
        .padStart(digits, "0");
    const variant = (8 + Math.floor(random() * 4)).toString(16);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${sequence.toString(16).padStart(3, "0")}-${variant}${bits(3)}-${bits(6)}${bits(6)}`;
  };
}
