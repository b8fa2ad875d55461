import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
import type { Tally } from '../lib/ledger';
import { weight } from '../lib/format';

export function TonnageChart({ tallies }: { readonly tallies: readonly Tally[] }) {
  const total = tallies.reduce((sum, tally) => sum + tally.tonnes, 0);
  return (
    <figure className="chart">
      <figcaption>Weight by vessel, {weight(total)} in all</figcaption>
      <ResponsiveContainer width="100%" height={220}>
        <BarChart data={[...tallies]} margin={{ top: 8, right: 8, bottom: 0, left: 0 }}>
          <CartesianGrid strokeDasharray="3 3" vertical={false} />
          <XAxis dataKey="label" tick={{ fontSize: 11 }} interval={0} />
          <YAxis tick={{ fontSize: 11 }} width={48} />
          <Tooltip formatter={(value) => weight(Number(value))} />
          <Bar
            dataKey="tonnes"
            name="weight"
            fill="#1d6fa3"
            radius={[4, 4, 0, 0]}
            isAnimationActive={false}
          />
        </BarChart>
      </ResponsiveContainer>
    </figure>
  );
}
