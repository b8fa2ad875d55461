import type { Consignment, Status } from '../data/consignments';

export type SortKey = 'id' | 'vessel' | 'goods' | 'tonnes' | 'arrives';
export type Direction = 'ascending' | 'descending';

export interface Order {
  readonly key: SortKey;
  readonly direction: Direction;
}

export interface Query {
  readonly text: string;
  readonly status: Status | 'any';
}

/** What one slice of the ledger weighs, and how many entries make it up. */
export interface Tally {
  readonly label: string;
  readonly count: number;
  readonly tonnes: number;
}

const SEARCHED: readonly (keyof Consignment)[] = ['id', 'vessel', 'goods', 'origin', 'destination'];

export function select(all: readonly Consignment[], query: Query): Consignment[] {
  const words = query.text.toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((entry) => {
    if (query.status !== 'any' && entry.status !== query.status) return false;
    const haystack = SEARCHED.map((key) => String(entry[key]).toLowerCase()).join('\n');
    return words.every((word) => haystack.includes(word));
  });
}

export function sorted(entries: readonly Consignment[], order: Order): Consignment[] {
  const sign = order.direction === 'ascending' ? 1 : -1;
  return entries.toSorted((a, b) => {
    const left = a[order.key];
    const right = b[order.key];
    const difference =
      typeof left === 'number' && typeof right === 'number'
        ? left - right
        : String(left).localeCompare(String(right), 'en');
    return difference === 0 ? a.id.localeCompare(b.id, 'en') : sign * difference;
  });
}

/** A second click on the same column turns the order round; a new column starts ascending. */
export function nextOrder(current: Order, key: SortKey): Order {
  if (current.key !== key) return { key, direction: 'ascending' };
  return { key, direction: current.direction === 'ascending' ? 'descending' : 'ascending' };
}

export function tallyBy(entries: readonly Consignment[], label: (entry: Consignment) => string): Tally[] {
  const tallies = new Map<string, Tally>();
  for (const entry of entries) {
    const name = label(entry);
    const sofar = tallies.get(name) ?? { label: name, count: 0, tonnes: 0 };
    tallies.set(name, { label: name, count: sofar.count + 1, tonnes: sofar.tonnes + entry.tonnes });
  }
  return [...tallies.values()].sort((a, b) => b.tonnes - a.tonnes);
}

export const totalTonnes = (entries: readonly Consignment[]): number =>
  entries.reduce((sum, entry) => sum + entry.tonnes, 0);
