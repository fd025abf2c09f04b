/** Made-up metric records: many hosts, waves above and below the thresholds, all from a seed. */

export const STRATEGIES = `strategies:
  - name: cpu
    query: { filter: { metric: cpu }, value: value, time: time, dimensions: [host] }
    interval: 10s
    levels:
      - { severity: critical, when: ">= 90", trigger: { count: 3, window: 5 } }
      - { severity: warning, when: ">= 70", trigger: { count: 2, window: 3 } }
    recovery: { count: 2 }
    no_data: { intervals: 6 }
  - name: memory
    query: { filter: { metric: memory }, value: value, time: time, dimensions: [host] }
    interval: 30s
    levels: [{ severity: warning, when: ">= 85", trigger: { count: 1, window: 1 } }]
    resend: 2m
`;

export const HEADER = "time,host,metric,value";

export type RowSpec = { readonly count: number; readonly hosts: number; readonly seed: number };

/** A small generator of its own, so that a seed gives the same rows on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const START = 1_795_417_160;

/** Lines of CSV without the header: two metrics of every host each ten seconds, some late, repeated, missing or broken. */
export function* metricRows({ count, hosts, seed }: RowSpec): Generator<string> {
  const random = seededRandom(seed);
  let made = 0;
  let last = "";
  for (let tick = 0; made < count; tick += 1) {
    for (let host = 0; host < hosts && made < count; host += 1) {
      for (const metric of ["cpu", "memory"]) {
        const chance = random();
        const time = START + tick * 10 - (chance < 0.02 ? 10 : chance < 0.03 ? 40 : 0);
        const wave = 60 + 40 * Math.sin((tick + host * 7) / (metric === "cpu" ? 9 : 23)) + random() * 8;
        const value = chance > 0.998 ? "broken" : wave.toFixed(2);
        const isSilent = host % 5 === 0 && tick % 60 > 50;
        const row = chance > 0.99 && last !== "" && chance <= 0.998 ? last : `${time},host-${host},${metric},${value}`;
        last = row;
        if (isSilent || made >= count) continue;
        made += 1;
        yield row;
      }
    }
  }
}

export function metricCsv(spec: RowSpec): string {
  return `${HEADER}\n${[...metricRows(spec)].join("\n")}\n`;
}
