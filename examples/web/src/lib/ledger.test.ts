import { consignments } from '../data/consignments';
import { nextOrder, select, sorted, tallyBy, totalTonnes } from './ledger';

describe('select', () => {
  it('returns everything for an empty query', () => {
    expect(select(consignments, { text: '  ', status: 'any' })).toHaveLength(consignments.length);
  });

  it('wants every word, in any column and any case', () => {
    const found = select(consignments, { text: 'MOMBASA tea', status: 'any' });
    expect(found.map((entry) => entry.id)).toEqual(['HL-1013']);
  });

  it('combines text and status', () => {
    const found = select(consignments, { text: 'hamburg', status: 'held' });
    expect(found.map((entry) => entry.goods)).toEqual(['cocoa beans']);
  });
});

describe('sorted', () => {
  it('orders numbers as numbers', () => {
    const tonnes = sorted(consignments, { key: 'tonnes', direction: 'descending' }).map(
      (entry) => entry.tonnes,
    );
    expect(tonnes[0]).toBe(1250);
    expect(tonnes.at(-1)).toBe(12.6);
  });

  it('breaks ties by number, whichever way it sorts', () => {
    const ids = sorted(consignments, { key: 'vessel', direction: 'descending' })
      .filter((entry) => entry.vessel === 'Penny Royal')
      .map((entry) => entry.id);
    expect(ids).toEqual(['HL-1013', 'HL-1014', 'HL-1015']);
  });

  it('leaves its input alone', () => {
    const before = consignments.map((entry) => entry.id);
    sorted(consignments, { key: 'goods', direction: 'ascending' });
    expect(consignments.map((entry) => entry.id)).toEqual(before);
  });
});

describe('nextOrder', () => {
  it('turns the same column round', () => {
    expect(nextOrder({ key: 'id', direction: 'ascending' }, 'id').direction).toBe('descending');
    expect(nextOrder({ key: 'id', direction: 'descending' }, 'id').direction).toBe('ascending');
  });

  it('starts a new column ascending', () => {
    expect(nextOrder({ key: 'id', direction: 'descending' }, 'tonnes')).toEqual({
      key: 'tonnes',
      direction: 'ascending',
    });
  });
});

describe('tallies', () => {
  it('sums to the total', () => {
    const byStatus = tallyBy(consignments, (entry) => entry.status);
    expect(byStatus.reduce((sum, tally) => sum + tally.tonnes, 0)).toBeCloseTo(totalTonnes(consignments));
    expect(byStatus.reduce((sum, tally) => sum + tally.count, 0)).toBe(consignments.length);
  });

  it('puts the heaviest first', () => {
    const [heaviest] = tallyBy(consignments, (entry) => entry.vessel);
    expect(heaviest).toMatchObject({ label: 'Nordlys', count: 2 });
  });
});
