import { ArrowDown, ArrowUp } from 'lucide-react';
import { Link } from 'react-router';
import type { Consignment } from '../data/consignments';
import { day, weight } from '../lib/format';
import type { Order, SortKey } from '../lib/ledger';
import { StatusPill } from './StatusPill';

const COLUMNS: readonly (readonly [SortKey, string])[] = [
  ['id', 'Number'],
  ['vessel', 'Vessel'],
  ['goods', 'Goods'],
  ['arrives', 'Arrives'],
  ['tonnes', 'Weight'],
];

interface Props {
  readonly entries: readonly Consignment[];
  readonly order: Order;
  readonly onSort: (key: SortKey) => void;
}

export function ConsignmentTable({ entries, order, onSort }: Props) {
  if (entries.length === 0) return <p className="empty">Nothing in the ledger matches.</p>;
  const Arrow = order.direction === 'ascending' ? ArrowUp : ArrowDown;
  return (
    <table>
      <caption className="visually-hidden">Consignments</caption>
      <thead>
        <tr>
          {COLUMNS.map(([key, title]) => (
            <th key={key} scope="col" aria-sort={order.key === key ? order.direction : 'none'}>
              <button
                type="button"
                onClick={() => {
                  onSort(key);
                }}
              >
                {title}
                {order.key === key && <Arrow aria-hidden="true" size={14} />}
              </button>
            </th>
          ))}
          <th scope="col">Route</th>
          <th scope="col">Status</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.id}>
            <th scope="row">
              <Link to={`/consignment/${entry.id}`}>{entry.id}</Link>
            </th>
            <td>{entry.vessel}</td>
            <td>{entry.goods}</td>
            <td>
              <time dateTime={entry.arrives}>{day(entry.arrives)}</time>
            </td>
            <td className="number">{weight(entry.tonnes)}</td>
            <td>
              {entry.origin} → {entry.destination}
            </td>
            <td>
              <StatusPill status={entry.status} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
