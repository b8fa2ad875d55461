import { Link } from 'react-router';

export function NotFoundPage() {
  return (
    <article className="card">
      <h1>Not in the ledger</h1>
      <p>
        No page lies at this berth. <Link to="/">Back to the board</Link>
      </p>
    </article>
  );
}
