import { ArrowLeft } from 'lucide-react';
import { Link, useParams } from 'react-router';
import { StatusPill } from '../components/StatusPill';
import { consignments } from '../data/consignments';
import { day, weight } from '../lib/format';
import { NotFoundPage } from './NotFoundPage';

export function ConsignmentPage() {
  const { id } = useParams();
  const entry = consignments.find((candidate) => candidate.id === id);
  if (entry === undefined) return <NotFoundPage />;
  return (
    <article className="card">
      <Link to="/" className="back">
        <ArrowLeft aria-hidden="true" size={16} /> Board
      </Link>
      <h1>
        {entry.id}: {entry.goods}
      </h1>
      <dl>
        <dt>Vessel</dt>
        <dd>{entry.vessel}</dd>
        <dt>From</dt>
        <dd>{entry.origin}</dd>
        <dt>To</dt>
        <dd>{entry.destination}</dd>
        <dt>Arrives</dt>
        <dd>{day(entry.arrives)}</dd>
        <dt>Weight</dt>
        <dd>{weight(entry.tonnes)}</dd>
        <dt>Status</dt>
        <dd>
          <StatusPill status={entry.status} />
        </dd>
      </dl>
      {entry.remark !== undefined && <p className="remark">{entry.remark}</p>}
    </article>
  );
}
