import { day, distance, weight } from './format';

describe('weight', () => {
  it('always shows one decimal', () => {
    expect(weight(340)).toBe('340.0 t');
    expect(weight(1250.04)).toBe('1,250.0 t');
  });
});

describe('day', () => {
  it('reads like a logbook', () => {
    expect(day('2026-03-02')).toBe('2 Mar 2026');
  });
});

describe('distance', () => {
  const today = new Date(2026, 2, 5, 23, 59);

  it.each([
    ['2026-03-05', 'today'],
    ['2026-03-06', 'tomorrow'],
    ['2026-03-04', 'yesterday'],
    ['2026-03-15', 'in 10 days'],
    ['2026-02-26', '7 days ago'],
  ])('%s is %s', (iso, words) => {
    expect(distance(iso, today)).toBe(words);
  });
});
