import { useMemo, useState } from 'react';
import { ConsignmentTable } from '../components/ConsignmentTable';
import { Filters } from '../components/Filters';
import { TonnageChart } from '../components/TonnageChart';
import { consignments } from '../data/consignments';
import { weight } from '../lib/format';
import { nextOrder, select, sorted, tallyBy, totalTonnes } from '../lib/ledger';
import type { Order, Query } from '../lib/ledger';

export function BoardPage() {
  const [query, setQuery] = useState<Query>({ text: '', status: 'any' });
  const [order, setOrder] = useState<Order>({ key: 'arrives', direction: 'ascending' });
  const entries = useMemo(() => sorted(select(consignments, query), order), [query, order]);
  const tallies = useMemo(() => tallyBy(entries, (entry) => entry.vessel), [entries]);

  return (
    <>
      <div className="toolbar">
        <h1>Consignments</h1>
        <p role="status">
          {entries.length} of {consignments.length}, {weight(totalTonnes(entries))}
        </p>
        <Filters query={query} onChange={setQuery} />
      </div>
      <TonnageChart tallies={tallies} />
      <ConsignmentTable
        entries={entries}
        order={order}
        onSort={(key) => {
          setOrder((current) => nextOrder(current, key));
        }}
      />
    </>
  );
}
