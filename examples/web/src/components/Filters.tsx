import { Search } from 'lucide-react';
import { STATUSES } from '../data/consignments';
import type { Query } from '../lib/ledger';

interface Props {
  readonly query: Query;
  readonly onChange: (query: Query) => void;
}

export function Filters({ query, onChange }: Props) {
  return (
    <form
      className="filters"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
      }}
    >
      <label className="search">
        <Search aria-hidden="true" size={16} />
        <span className="visually-hidden">Search the ledger</span>
        <input
          type="search"
          placeholder="vessel, goods, port"
          value={query.text}
          onChange={(event) => {
            onChange({ ...query, text: event.target.value });
          }}
        />
      </label>
      <label>
        Status{' '}
        <select
          value={query.status}
          onChange={(event) => {
            onChange({ ...query, status: event.target.value as Query['status'] });
          }}
        >
          <option value="any">any</option>
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {status}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}
